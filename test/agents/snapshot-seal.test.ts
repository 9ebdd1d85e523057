import { expect, test } from 'vitest';
import { createSnapshotSeal } from '../../src/agents/snapshot-seal.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { Secret } from '../../src/secret.ts';
import { toAgentSnapshotLabels } from '../../stacks/labels.ts';

const [OLD, NEW] = [new Secret('the old passphrase'), new Secret('the new passphrase')];
const [old, both] = [createSnapshotSeal(new Keyring(OLD)), createSnapshotSeal(new Keyring(NEW, OLD))];
const labels = toAgentSnapshotLabels(
  { agentId: 'a1', operationId: 'o1' },
  { snapshotId: 's1', why: 'by-hand', tailnetNodeId: 'n1' },
);

test('a seal is of one snapshot, agent, device and server, and nothing else', async () => {
  const sealed = await old.seal(labels, '42');
  expect(sealed).toEqual({ ...labels, 'agent-snapshot-seal': expect.stringMatching(/^[0-9a-f]{32}$/) });
  expect(await old.isValid(sealed, '42')).toBe(true);
  expect(await old.isValid({ ...sealed, mine: 'x' }, '42')).toBe(true);
  for (const serverId of ['43', '4', null]) expect(await old.isValid(sealed, serverId)).toBe(false);
  for (const [name, value] of [
    ['agent-snapshot', 's2'],
    ['agent-id', 'b1'],
    ['tailnet-node', 'n2'],
    ['tailnet-node', ''],
    ['agent-snapshot-seal', 'é'.repeat(16)],
    ['agent-snapshot-seal', ''],
  ] as const)
    expect(await old.isValid({ ...sealed, [name]: value }, '42'), `${name}=${value}`).toBe(false);
});

test('a former passphrase’s is valid while that is configured, and is replaced by the present one’s', async () => {
  const sealed = await old.seal(labels, '42');
  expect(await both.isValid(sealed, '42')).toBe(true);
  const again = await both.seal(sealed, '42');
  expect(await old.isValid(again, '42')).toBe(false);
  expect(await both.isValid(again, '42')).toBe(true);
  expect(Object.keys(again)).toEqual(Object.keys(sealed));
});
