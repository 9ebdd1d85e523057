import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { Secret } from '../../src/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));
const keys = generateAgentKeys('a1');
const hasSshKeygen = existsSync('/usr/bin/ssh-keygen');

test('OpenSSH reads the private keys and derives the same public keys', ({ skip }) => {
  skip(!hasSshKeygen, 'no ssh-keygen on this machine');
  for (const agentId of ['a', 'agent-7', 'a'.repeat(40)]) {
    // The comment's length determines the padding. Repeated runs cover several leading bytes.
    const made = generateAgentKeys(agentId);
    const pairs = [
      [made.sshPrivateKey, made.sshPublicKey],
      [made.hostPrivateKey, made.hostPublicKey],
      [made.nextHostPrivateKey, made.nextHostPublicKey],
    ] as const;
    for (const [privateKey, publicKey] of pairs) {
      const file = join(folder, 'key');
      writeFileSync(file, privateKey, { mode: 0o600 });
      const shown = execFileSync('ssh-keygen', ['-y', '-P', '', '-f', file], { encoding: 'utf8' });
      expect(shown.trim().split(' ').slice(0, 2).join(' ')).toBe(publicKey);
      const fingerprint = execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' });
      expect(fingerprint).toMatch(/^256 SHA256:.*ED25519/);
    }
  }
});

test('a signature of the private key verifies with the public key', () => {
  const body = keys.sshPrivateKey.split('\n').slice(1, -2).join('');
  const blob = Buffer.from(body, 'base64');
  const publicKey = Buffer.from(keys.sshPublicKey.split(' ')[1]!, 'base64').subarray(-32);
  const seed = blob.subarray(blob.lastIndexOf(publicKey) - 32, blob.lastIndexOf(publicKey));
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: publicKey.toString('base64url') };
  const privateKey = createPrivateKey({ key: { ...jwk, d: seed.toString('base64url') }, format: 'jwk' });
  const signature = sign(null, Buffer.from('text'), privateKey);
  expect(verify(null, Buffer.from('text'), createPublicKey({ key: jwk, format: 'jwk' }), signature)).toBe(
    true,
  );
});

test('every pair is unique', () => {
  const other = generateAgentKeys('a1');
  const all = [keys, other].flatMap((made) => Object.values(made));
  expect(new Set(all).size).toBe(12);
});

test('sealed keys open with the passphrase, for the same agent only', () => {
  const vault = createVault(new Secret('passphrase'));
  const sealed = vault.seal('a1', keys);
  expect(createVault(new Secret('passphrase')).open('a1', sealed)).toEqual(keys);
  expect(() => vault.open('a2', sealed)).toThrow(/agent a2 cannot be opened/);
  expect(() => createVault(new Secret('another')).open('a1', sealed)).toThrow(/PULUMI_CONFIG_PASSPHRASE/);
});

test('sealed data shows nothing of the keys, and no two sealings are the same', () => {
  const vault = createVault(new Secret('passphrase'));
  const sealed = vault.seal('a1', keys);
  for (const text of Object.values(keys)) expect(sealed.includes(text.slice(0, 30))).toBe(false);
  expect(vault.seal('a1', keys).equals(sealed)).toBe(false);
});

test('a changed byte anywhere is detected', () => {
  const vault = createVault(new Secret('passphrase'));
  const sealed = vault.seal('a1', keys);
  for (const index of [0, 1, 13, 29, sealed.length - 1]) {
    const changed = Buffer.from(sealed);
    changed[index]! ^= 1;
    expect(() => vault.open('a1', changed), `byte ${index}`).toThrow(/agent a1/);
  }
  expect(() => vault.open('a1', Buffer.alloc(0))).toThrow();
});

test('errors of the vault show neither keys nor passphrase', () => {
  const vault = createVault(new Secret('passphrase-canary'));
  const sealed = vault.seal('a1', keys);
  try {
    createVault(new Secret('other-canary')).open('a1', sealed);
    expect.unreachable();
  } catch (error) {
    expect(String((error as Error).stack)).not.toMatch(/canary|PRIVATE/);
  }
});
