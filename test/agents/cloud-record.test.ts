import { describe, expect, test } from 'vitest';
import { type CloudRecord, openRecord, sealRecord } from '../../src/agents/cloud-record.ts';
import {
  canOpen,
  createRecordSeal,
  hasRecord,
  RECORD_FORMAT,
  withRecord,
} from '../../src/agents/record-seal.ts';
import { generateAgentKeys, keysFromSeeds, toSeeds } from '../../src/agents/secrets.ts';
import { Secret } from '../../src/secret.ts';
import type { AgentInputs } from '../../stacks/agent-inputs.ts';

const seal = createRecordSeal(new Secret('a passphrase'));
const LABEL = /^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?$/;

const keys = generateAgentKeys('ada');
const inputs: AgentInputs = {
  agentId: 'ada',
  operationId: '6d9f4cc5-6f4e-4e0f-9f0a-0f2c7d8f9e10',
  project: 'default',
  location: 'nbg1',
  serverType: 'cx23',
  image: 'debian-12',
  serverName: 'srv-0123456789abcdef0123',
  firewallId: 4_700_001,
  sshPublicKey: keys.sshPublicKey,
  hostPublicKey: keys.hostPublicKey,
  keyGeneration: 2,
  joinName: `join-${'0a'.repeat(16)}`,
  healthPort: 8080,
  configurationVersion: '3f2a9d0c11223344',
  configuredBy: '6d9f4cc5-6f4e-4e0f-9f0a-0f2c7d8f9e11 1',
  joinTimeoutSeconds: 180,
  pollInterval: '2s',
};
const record: CloudRecord = {
  kind: 'agent',
  id: 'ada',
  userId: 'user-4711@example.com',
  region: 'eu-central',
  location: 'nbg1',
  plan: 'starter',
  createdAt: '2026-11-30T12:00:00.000Z',
  serverId: '123456789',
  ipv4: '65.108.1.2',
  ipv6: '2a01:4f8:1:2::1',
  nodeId: 'nABCDEF11CNTRL',
  tailnetIp: '100.64.0.7',
  tailnetName: 'agent-ada.tail1234.ts.net',
  subscriptionId: 'sub_1QabcDEFghiJKLmnoPQRstuv',
  holds: [{ reason: 'abuse', since: new Date('2026-11-01T00:00:00Z'), by: 'operator', note: 'mines coins' }],
  inputs,
  keys,
};

describe('the record of an agent', async () => {
  const labels = await sealRecord(seal, record);

  test('comes back as it was, with keys that are the same', async () => {
    const opened = await openRecord(seal, inputs.serverName!, labels);
    const { keys: openedKeys, ...rest } = opened!;
    const { keys: _, ...expected } = record;
    expect(rest).toEqual(expected);
    expect(toSeeds(openedKeys)).toEqual(toSeeds(keys));
    expect(openedKeys.sshPublicKey).toBe(keys.sshPublicKey);
    expect(openedKeys.nextHostPublicKey).toBe(keys.nextHostPublicKey);
  });

  test('fits into few labels that Hetzner takes, and says nothing to those who read them', () => {
    expect(Object.keys(labels).length).toBeLessThan(13);
    for (const [key, value] of Object.entries(labels)) {
      expect(key).toMatch(LABEL);
      expect(value).toMatch(LABEL);
    }
    expect(JSON.stringify(labels)).not.toMatch(/4711|example|sub_1/);
  });

  test('says that a server is still its owner’s, and not what it was before', async () => {
    const before = { name: 'web1', labels: { team: 'shop'.repeat(60) } };
    const adopting = { serverId: '9', ipv4: '192.0.2.9', hostPublicKey: keys.hostPublicKey, before };
    const sealed = await sealRecord(seal, { ...record, inputs: { ...inputs, adopting } });
    const opened = await openRecord(seal, inputs.serverName!, sealed);
    expect(opened).toMatchObject({ adopting: { serverId: '9' }, inputs });
    expect(opened?.inputs.adopting).toBeUndefined();
    expect(await sealRecord(seal, opened!)).toEqual(sealed);
    expect(await seal.open(inputs.serverName!, sealed)).not.toContain('shop');
  });

  test('of another format is not opened', async () => {
    const [first = '', ...more] = Object.values(labels).map((label) => label.slice(1, -1));
    const bytes = Buffer.from([first, ...more].join(''), 'base64url');
    expect(bytes[0]).toBe(RECORD_FORMAT);
    bytes[0] = 1;
    const chunks = bytes.toString('base64url').match(/.{1,61}/g)!;
    const old = Object.fromEntries(chunks.map((chunk, index) => [`record-${index}`, `x${chunk}x`]));
    await expect(openRecord(seal, inputs.serverName!, old)).rejects.toThrow(/cannot be opened/);
  });

  test('is the same as long as its text is, whichever process seals it', async () => {
    const again = await sealRecord(createRecordSeal(new Secret('a passphrase')), record);
    expect(hasRecord({ 'agent-id': 'ada', ...again }, labels)).toBe(true);
    const changed = await sealRecord(seal, { ...record, plan: 'pro' });
    expect(hasRecord(changed, labels)).toBe(false);
    expect(withRecord({ mine: '1', ...labels, 'record-99': 'x' }, changed)).toEqual({
      mine: '1',
      ...changed,
    });
  });

  test.each([
    ['of another resource', 'srv-other', labels],
    ['without one of its labels', inputs.serverName!, { ...labels, 'record-1': '' }],
    ['with a changed letter', inputs.serverName!, { ...labels, 'record-0': 'xAAAAx' }],
  ])('cannot be opened %s', async (_, name, found) => {
    await expect(openRecord(seal, name, found)).rejects.toThrow(/cannot be opened/);
  });

  test('cannot be opened with another passphrase, and an absent one is no error', async () => {
    const other = createRecordSeal(new Secret('another'));
    await expect(openRecord(other, inputs.serverName!, labels)).rejects.toThrow(/PULUMI_CONFIG_PASSPHRASE/);
    expect(await openRecord(seal, inputs.serverName!, { 'agent-id': 'ada' })).toBeUndefined();
    const tried = [canOpen(seal, inputs.serverName!, labels), canOpen(other, inputs.serverName!, labels)];
    expect(await Promise.all([...tried, canOpen(seal, inputs.serverName!, {})])).toEqual([
      true,
      false,
      false,
    ]);
  });

  test('is refused if it is too long for labels', async () => {
    const note = (at: number) =>
      Array.from({ length: 500 }, (_, index) =>
        String.fromCharCode(0x4e00 + ((index * 37 + at * 7919) % 20_000)),
      );
    const holds = (['abuse', 'operator', 'payment', 'dispute'] as const).map((reason, index) => ({
      reason,
      since: new Date(0),
      by: 'operator',
      note: note(index).join(''),
    }));
    await expect(async () => sealRecord(seal, { ...record, holds } as CloudRecord)).rejects.toThrow(
      /too long/,
    );
  });
});

test('keys from their seeds are what OpenSSH reads', () => {
  const again = keysFromSeeds('ada', toSeeds(keys));
  expect(again.sshPublicKey).toBe(keys.sshPublicKey);
  expect(toSeeds(again)).toEqual(toSeeds(keys));
});
