import { describe, expect, test } from 'vitest';
import type { CloudRecord } from '../../src/agents/cloud-record.ts';
import { generateAgentKeys } from '../../src/agents/secrets.ts';
import type { Server, Snapshot, SshKey } from '../../src/hetzner/hetzner.ts';
import { planRebuild } from '../../src/recovery/plan.ts';
import type { Opened, Placed, Survey } from '../../src/recovery/survey.ts';
import type { TailnetDevice } from '../../src/tailscale/tailscale.ts';

type AgentRecord = Extract<CloudRecord, { kind: 'agent' }>;
type SlotRecord = Extract<CloudRecord, { kind: 'slot' }>;

const NAME = 'srv-0123456789abcdef0123';
const SLOT = 'slot-0123456789abcdef01234567';
const keys = generateAgentKeys('ada');
const inputs = {
  agentId: 'ada',
  operationId: '6d9f4cc5-6f4e-4e0f-9f0a-0f2c7d8f9e10',
  project: 'default',
  location: 'nbg1',
  serverType: 'cx23',
  image: 'debian-12',
  serverName: NAME,
  firewallId: 1,
  sshPublicKey: keys.sshPublicKey,
  hostPublicKey: keys.hostPublicKey,
  keyGeneration: 1,
  healthPort: 8080,
  configurationVersion: 'v1',
  joinTimeoutSeconds: 180,
};
const common = {
  location: 'nbg1',
  plan: 'starter' as const,
  createdAt: '2026-11-30T12:00:00.000Z',
  inputs,
  keys,
};
const record = (change: Partial<AgentRecord> = {}): AgentRecord => ({
  kind: 'agent',
  id: 'ada',
  userId: 'u',
  region: 'eu-central',
  holds: [],
  ...common,
  serverId: '7',
  nodeId: 'n7',
  tailnetIp: '100.64.0.7',
  tailnetName: 'agent-ada.tail.ts.net',
  ...change,
});
const slotRecord = (change: Partial<SlotRecord> = {}): SlotRecord => ({
  kind: 'slot',
  id: SLOT,
  fingerprint: 'f',
  ...common,
  serverId: '7',
  nodeId: 'n7',
  ...change,
});

const server = (change: Partial<Placed<Server>> = {}): Placed<Server> => ({
  project: 'default',
  id: '7',
  name: NAME,
  status: 'running',
  labels: { 'agent-id': 'ada', 'managed-by': 'agents' },
  isLocked: false,
  isProtected: false,
  diskGb: 40,
  imageId: null,
  ipv4: '65.108.0.7',
  firewallIds: [1],
  ...change,
});
const device = (change: Partial<TailnetDevice> = {}): TailnetDevice => ({
  nodeId: 'n7',
  name: 'agent-ada.tail.ts.net',
  hostname: 'anything',
  addresses: ['100.64.0.7'],
  tags: ['tag:agent'],
  ...change,
});
const snapshot: Placed<Snapshot> = {
  project: 'default',
  id: '99',
  name: NAME,
  status: 'available',
  sizeGb: 1,
  serverId: '7',
  labels: {},
  isProtected: false,
  createdAt: new Date(0),
};
const key: Placed<SshKey> = {
  project: 'default',
  id: '5',
  name: NAME,
  labels: { 'agent-id': 'ada' },
  publicKey: keys.sshPublicKey,
};

const plan = (opened: CloudRecord | string, survey: Partial<Survey> = {}) => {
  const one: Opened = typeof opened === 'string' ? { key, problem: opened } : { key, record: opened };
  return planRebuild({ servers: [server()], sshKeys: [key], snapshots: [], devices: [device()], ...survey }, [
    one,
  ]);
};
const ABUSE = { reason: 'abuse' as const, since: new Date(0), by: 'operator', note: null };
const DISPUTE = { ...ABUSE, reason: 'dispute' as const };

describe('a record is the row of', () => {
  test.each([
    ['a running agent', record(), {}, 'running'],
    ['a stopped one', record(), { servers: [server({ status: 'off' })] }, 'stopped'],
    ['a suspended one', record({ holds: [ABUSE] }), { servers: [server({ status: 'off' })] }, 'suspended'],
    [
      'one in a dispute, which switches nothing off',
      record({ holds: [DISPUTE] }),
      { servers: [server({ status: 'off' })] },
      'stopped',
    ],
    ['one that is held and not off yet', record({ holds: [ABUSE] }), {}, 'running'],
    ['one whose server was renamed', record(), { servers: [server({ name: 'mine' })] }, 'running'],
    [
      'one whose record is of before it joined',
      record({ serverId: undefined, nodeId: undefined, tailnetIp: undefined }),
      {},
      'running',
    ],
  ])('%s', (_, found, survey, status) => {
    const { found: planned, unclear } = plan(found, survey);
    expect(unclear).toEqual([]);
    const reached = { tailnetIp: '100.64.0.7', tailnetName: 'agent-ada.tail.ts.net', nodeId: 'n7' };
    expect(planned).toMatchObject([{ kind: 'agent', status, server: { id: '7' }, reached }]);
  });

  test('one that is on no tailnet any more, with the device that it had', () => {
    const { found } = plan(record(), { devices: [] });
    expect(found).toMatchObject([{ kind: 'agent', reached: { tailnetIp: '100.64.0.7', nodeId: 'n7' } }]);
  });

  test('a hibernated one: by its inputs, or because its server was about to go', () => {
    const hibernated = record({ inputs: { ...inputs, hibernated: { snapshotId: '99' } }, snapshotId: '99' });
    const survey = { servers: [], snapshots: [snapshot] };
    expect(plan(hibernated, survey).found).toMatchObject([{ kind: 'hibernated', snapshotId: '99' }]);
    expect(plan(record({ snapshotId: '99' }), survey).found).toMatchObject([{ kind: 'hibernated' }]);
    const lost = plan(hibernated, { servers: [] });
    expect(lost).toMatchObject({
      found: [],
      unclear: [{ agentId: 'ada', cause: expect.stringMatching(/snapshot is no longer/) }],
    });
  });

  test('a provision that had not ended, with or without a server', () => {
    const begun = record({ serverId: undefined, nodeId: undefined, tailnetIp: undefined });
    const joined = device({ name: 'join-00.tail.ts.net' });
    expect(plan(begun, { devices: [joined] }).found).toMatchObject([
      { kind: 'unfinished', server: { id: '7' } },
    ]);
    expect(plan(begun, { devices: [], servers: [] }).found).toMatchObject([{ kind: 'unfinished' }]);
  });

  test('no server of another Hetzner project, whatever it is called', () => {
    expect(plan(record(), { servers: [server({ project: 'us' })] })).toMatchObject({
      found: [],
      unclear: [{ key: 'ada lost' }, { key: 'server 7' }],
    });
  });

  test('no slot, although its server looks as if it waited: an agent may run on it', () => {
    const own = server({ labels: { 'agent-id': SLOT } });
    const { found, slots, unclear } = plan(slotRecord(), { servers: [own] });
    expect({ found, unclear }).toEqual({ found: [], unclear: [] });
    expect(slots).toMatchObject([
      { slotId: SLOT, unclear: { key: `${SLOT} slot`, cause: expect.stringContaining(NAME) } },
    ]);
    const [gone] = plan(slotRecord(), { servers: [] }).slots;
    expect(gone).toMatchObject({
      slotId: SLOT,
      unclear: { cause: expect.stringMatching(/without its server/) },
    });
  });
});

describe('a person decides about', () => {
  test('a server whose label names another than its record', () => {
    const { found, unclear } = plan(record(), { servers: [server({ labels: { 'agent-id': 'eve' } })] });
    expect(found).toEqual([]);
    expect(unclear).toMatchObject([{ cause: expect.stringMatching(/that of ada .* names eve/) }]);
  });

  test('the server of a slot that was being made', () => {
    const made = { ...key, labels: { 'agent-id': SLOT } };
    const { unclear } = planRebuild(
      { servers: [server({ labels: made.labels })], sshKeys: [made], snapshots: [], devices: [] },
      [{ key: made, problem: 'has no record in its labels' }],
    );
    expect(unclear).toMatchObject([{ key: 'ssh-key 5', cure: expect.stringMatching(/for the pool/) }]);
  });

  test('a server that was being adopted: it is its owner’s, whatever its record and its device say', () => {
    for (const survey of [{}, { servers: [] }, { devices: [] }])
      expect(plan(record({ adopting: { serverId: '7' } }), survey)).toMatchObject({
        found: [],
        unclear: [
          { key: 'ada adopting', cause: expect.stringMatching(/Server 7 is its owner's/), cure: /undo.sh/ },
        ].map(({ cure, ...one }) => ({ ...one, cure: expect.stringMatching(cure) })),
      });
  });

  test('a slot that an agent already runs on', () => {
    expect(plan(slotRecord())).toMatchObject({ found: [], unclear: [{ key: `${SLOT} labels` }] });
  });

  test('a key without a readable record, once, and a server without a key', () => {
    const { unclear } = plan('has no record in its labels', {
      servers: [server(), server({ id: '8', name: 'other' })],
    });
    expect(unclear.map(({ key: name }) => name)).toEqual(['ssh-key 5', 'server 8']);
  });

  test.each([
    [
      'a restore drill',
      'drill-0123456789abcdef',
      /restore drill.* a copy of an agent/,
      /^Delete it at Hetzner/,
    ],
    [
      'the build of an image',
      'image-0123456789abcdef-01234567',
      /no SSH key/,
      /build of an image: delete it/,
    ],
    ['an agent', 'eve', /no SSH key/, /adopt the server with its key/],
  ])('a server that is left from %s', (_, name, cause, cure) => {
    const left = server({ id: '8', name, labels: { 'agent-id': name, 'managed-by': 'agents' } });
    const { unclear } = plan(record(), { servers: [server(), left] });
    expect(unclear).toMatchObject([
      { key: 'server 8', cause: expect.stringMatching(cause), cure: expect.stringMatching(cure) },
    ]);
  });

  test('an agent whose server is gone, and one that nobody can say is reached', () => {
    expect(plan(record(), { servers: [] }).unclear).toMatchObject([
      { cause: expect.stringMatching(/no longer at Hetzner/) },
    ]);
    const nowhere = record({ tailnetIp: undefined, nodeId: 'n8' });
    expect(plan(nowhere).unclear).toMatchObject([{ cause: expect.stringMatching(/no device/) }]);
  });

  test('a device that only calls itself after the agent is not its own', () => {
    const nameless = record({ nodeId: undefined, tailnetIp: undefined });
    const untagged = device({ tags: [] });
    expect(plan(nameless, { devices: [untagged] }).found).toEqual([]);
    const two = [device(), device({ nodeId: 'n8', name: 'agent-ada.other.ts.net' })];
    expect(plan(nameless, { devices: two }).found).toEqual([]);
  });
});
