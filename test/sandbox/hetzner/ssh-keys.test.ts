import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { publicKeyFingerprint } from '../../../sandbox/hetzner/ssh-keys/public-key.ts';
import { publicKey, startCloud } from '../../support/sandbox-hetzner.ts';

/** An ed25519 public key in OpenSSH's format. */
function anotherKey(): string {
  const raw = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }).subarray(-32);
  const type = Buffer.from('ssh-ed25519');
  const blob = Buffer.concat([Buffer.from([0, 0, 0, type.length]), type, Buffer.from([0, 0, 0, 32]), raw]);
  return `ssh-ed25519 ${blob.toString('base64')}`;
}

test('an SSH key is created, found, changed and deleted', async () => {
  const cloud = await startCloud();
  const created = await cloud.call('POST', '/ssh_keys', {
    name: 'a',
    public_key: `${publicKey}\n`,
    labels: { x: 'y' },
  });
  expect(created).toMatchObject({ status: 201, body: { ssh_key: { name: 'a', public_key: publicKey } } });
  const { id, fingerprint } = created.body.ssh_key;
  for (const query of [`fingerprint=${fingerprint}`, 'name=a', 'label_selector=x%3Dy'])
    expect((await cloud.call('GET', `/ssh_keys?${query}`)).body.ssh_keys).toMatchObject([{ id }]);
  expect((await cloud.call('GET', '/ssh_keys?name=b')).body.ssh_keys).toEqual([]);
  const updated = await cloud.call('PUT', `/ssh_keys/${id}`, { name: 'b' });
  expect(updated.body.ssh_key).toMatchObject({ name: 'b', labels: { x: 'y' } });
  expect((await cloud.call('DELETE', `/ssh_keys/${id}`)).status).toBe(204);
  expect((await cloud.call('GET', `/ssh_keys/${id}`)).status).toBe(404);
  expect((await cloud.call('DELETE', `/ssh_keys/${id}`)).body.error.code).toBe('not_found');
});

test('name and key are both unique', async () => {
  const cloud = await startCloud();
  await cloud.call('POST', '/ssh_keys', { name: 'a', public_key: publicKey });
  const sameName = await cloud.call('POST', '/ssh_keys', { name: 'a', public_key: anotherKey() });
  expect(sameName).toMatchObject({ status: 409, body: { error: { code: 'uniqueness_error' } } });
  expect(sameName.body.error.details.fields).toEqual([{ name: 'name' }]);
  const sameKey = await cloud.call('POST', '/ssh_keys', { name: 'b', public_key: publicKey });
  expect(sameKey).toMatchObject({ status: 409, body: { error: { code: 'uniqueness_error' } } });
  expect(sameKey.body.error.details.fields).toEqual([{ name: 'public_key' }]);
});

describe('a public key', () => {
  test('has the fingerprint that ssh-keygen -l -E md5 prints', () => {
    expect(publicKeyFingerprint(publicKey)).toBe('15:18:09:be:d4:2c:7c:e1:81:42:66:a7:b4:57:04:eb');
  });

  test.each([
    '',
    'ssh-ed25519',
    'ssh-ed25519 AAAA',
    publicKey.replace('ssh-ed25519 ', 'ssh-rsa '),
    publicKey.replace('AAAAC3', 'AAAAD3'),
    publicKey.slice(0, 70),
  ])('that is invalid is refused: %s', async (text) => {
    const cloud = await startCloud();
    const answer = await cloud.call('POST', '/ssh_keys', { name: 'a', public_key: text });
    expect(answer).toMatchObject({ status: 422, body: { error: { code: 'invalid_input' } } });
    expect(answer.body.error.details.fields[0].name).toBe('public_key');
  });
});
