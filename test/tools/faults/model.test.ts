import { expect, test } from 'vitest';
import { checkQuiet, type Expectations } from '../../../tools/faults/model.ts';
import { checkReleases } from '../../../tools/faults/releases.ts';
import type { SlotRecord } from '../../../tools/faults/slots.ts';
import type { OperationRecord, Snapshot } from '../../../tools/faults/snapshot.ts';

const kept = (id: number, agentId: string) => ({
  id,
  description: `agent-${agentId}`,
  status: 'available',
  image_size: 2.5,
  labels: labels(agentId),
});
/** Kept beside its agent's server. */
const beside = (id: number, agentId: string) => ({
  ...kept(id, agentId),
  labels: { ...labels(agentId), 'agent-snapshot': 's1' },
});
const server = (id: number, agentId: string) => ({
  id,
  name: `agent-${agentId}`,
  status: 'running',
  labels: labels(agentId),
  image: { id: 100 },
});
const labels = (agentId: string) => ({ 'agent-id': agentId, 'managed-by': 'agents' });

/** One agent in each state that lasts; the failed one was rolled back. */
function healthy(): Snapshot {
  return {
    agents: [
      agent('a1', 'running', { server_id: '1', tailnet_ip: '100.64.0.1', tailnet_node_id: 'd1' }),
      agent('off', 'suspended', { server_id: '5', tailnet_node_id: 'd5' }),
      agent('asleep', 'hibernated', { snapshot_id: '9', tailnet_node_id: 'd9' }),
      agent('gone', 'destroyed'),
      agent('broken', 'failed', { error: 'the reason' }),
    ],
    operations: [operation('o1', 'a1'), operation('o2', 'gone'), operation('o3', 'broken')],
    statusEvents: [
      event(1, 'o1', 1, 'active'),
      event(2, 'o1', 1, 'queued'),
      event(3, 'o1', 2, 'active'),
      event(4, 'o1', 2, 'succeeded'),
    ],
    sequences: [{ operation_id: 'o1', count: 4, last: 4 }],
    joinNames: [{ name: 'join-1', agent_id: 'a1' }],
    serverNames: [],
    slots: [],
    kept: [{ snapshot_id: 's1', agent_id: 'a1', why: 'by-hand', status: 'available', hetzner_id: '20' }],
    drills: [{ drill_id: 'drill-1', status: 'succeeded' }],
    tenants: new Map(),
    orders: [{ session_id: 'cs_1', agent_id: 'a1', attention: null }],
    storedEvents: ['evt_1'],
    state: ['a1', 'off', 'asleep'].map((id) => ({
      key: `pulumi/.pulumi/stacks/agents/agent-${id}.json`,
      pending: 0,
    })),
    logins: [],
    clouds: {
      servers: [server(1, 'a1'), { ...server(5, 'off'), status: 'off' }],
      snapshots: [kept(9, 'asleep'), beside(20, 'a1')],
      sshKeys: ['a1', 'off', 'asleep'].map((id, n) => ({
        id: n + 2,
        name: `agent-${id}`,
        labels: labels(id),
      })),
      firewalls: [
        { id: 3, name: 'agents-default' },
        { id: 4, name: 'agents-drill' },
      ],
      devices: [
        { id: '1', nodeId: 'd1', name: 'agent-a1.ts.net', hostname: 'join-1', addresses: ['100.64.0.1'] },
        { id: '5', nodeId: 'd5', name: 'agent-off.ts.net', hostname: 'join-5', addresses: ['100.64.0.5'] },
        { id: '9', nodeId: 'd9', name: 'agent-asleep.ts.net', hostname: 'join-9', addresses: ['100.64.0.9'] },
      ],
      keys: [],
    },
    children: [
      { pid: 10, kind: 'runner', worker: 9, workerAlive: true, attempt: undefined, command: 'runner' },
    ],
  };
}

const expected: Expectations = {
  answeredEvents: new Set(['evt_1']),
  paid: new Map([['cs_1', 'a1']]),
  serverDeleted: new Set(),
};

function agent(agent_id: string, status: string, more: Partial<Snapshot['agents'][number]> = {}) {
  return {
    agent_id,
    status,
    health: 'healthy',
    server_id: null,
    tailnet_ip: null,
    tailnet_node_id: null,
    snapshot_id: null,
    error: null,
    release: null,
    ...more,
  };
}

function operation(
  operation_id: string,
  agent_id: string,
  more: Partial<OperationRecord> = {},
): OperationRecord {
  return {
    operation_id,
    agent_id,
    kind: 'provision',
    status: 'succeeded',
    attempt: 1,
    retry_count: 0,
    lost_count: 0,
    error: null,
    failed_step: null,
    worker_id: null,
    due_in: 0,
    ...more,
  };
}

function event(id: number, operation_id: string, attempt: number, status: string) {
  return { id, operation_id, agent_id: 'a1', kind: 'provision', attempt, status };
}

test('what is as it should be violates nothing', () => {
  expect(checkQuiet(healthy(), expected)).toEqual([]);
});

const cli = (attempt: string) => ({
  pid: 11,
  kind: 'cli' as const,
  worker: 9,
  workerAlive: true,
  attempt,
  command: 'pulumi up',
});

test.each<[string, string, (snapshot: Snapshot) => void]>([
  ['a second server', 'at most one server per agent', ({ clouds }) => clouds.servers.push(server(7, 'a1'))],
  ['a server of nobody', 'no server without a row', ({ clouds }) => clouds.servers.push(server(7, 'who'))],
  [
    'two attempts at once',
    'attempts at one agent never overlap',
    ({ statusEvents }) => statusEvents.splice(1, 1),
  ],
  [
    'two CLIs at once',
    'one attempt at a time has processes',
    ({ children }) => children.push(cli('a1:o1:1'), cli('a1:o1:2')),
  ],
  ['a missing number', 'sequence numbers of events have no gap', ({ sequences }) => (sequences[0]!.last = 5)],
  [
    'an answered event that is not stored',
    'answered events are stored',
    (snapshot) => (snapshot.storedEvents = []),
  ],
  ['a paid order without an agent', 'every paid order has its agent', (snapshot) => (snapshot.orders = [])],
  [
    'a second provision',
    'every paid order has its agent',
    ({ operations }) => operations.push(operation('o9', 'a1')),
  ],
  ['an agent that is stuck', 'an agent comes to rest', ({ agents }) => (agents[0]!.status = 'provisioning')],
  [
    'a running agent without a server',
    'a running agent has exactly one of everything',
    ({ clouds }) => clouds.servers.shift(),
  ],
  [
    'a running agent with another server',
    'a running agent has exactly one of everything',
    ({ clouds }) => (clouds.servers[0]!.id = 5),
  ],
  [
    'a running agent with two devices',
    'a running agent has exactly one of everything',
    ({ clouds }) => clouds.devices.push({ ...clouds.devices[0]!, nodeId: 'd2', name: 'join-1.ts.net' }),
  ],
  [
    'a running agent with another device than its row says',
    'a running agent has exactly one of everything',
    ({ clouds }) => (clouds.devices[0]!.nodeId = 'd2'),
  ],
  [
    'a usable key of a running agent',
    'a running agent has exactly one of everything',
    ({ clouds }) => clouds.keys.push({ id: 'k1', description: 'agent-a1 2', invalid: false }),
  ],
  [
    'a running agent without a stack',
    'a running agent has exactly one of everything',
    (snapshot) => (snapshot.state = []),
  ],
  [
    'a snapshot of a running agent',
    'a running agent has exactly one of everything',
    ({ clouds }) => clouds.snapshots.push(kept(8, 'a1')),
  ],
  [
    'a suspended agent that is on',
    'a suspended agent has everything, switched off',
    ({ clouds }) => (clouds.servers[1]!.status = 'running'),
  ],
  [
    'a suspended agent without a server',
    'a suspended agent has everything, switched off',
    ({ clouds }) => clouds.servers.pop(),
  ],
  [
    'a snapshot of a suspended agent',
    'a suspended agent has everything, switched off',
    ({ clouds }) => clouds.snapshots.push(kept(8, 'off')),
  ],
  [
    'a server of a hibernated agent',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => clouds.servers.push(server(7, 'asleep')),
  ],
  [
    'a hibernated agent without a snapshot',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => (clouds.snapshots = []),
  ],
  [
    'a second snapshot of a hibernated agent',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => clouds.snapshots.push(kept(8, 'asleep')),
  ],
  [
    'another snapshot than the row says',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => (clouds.snapshots[0]!.id = 8),
  ],
  [
    'a snapshot that is not complete',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => (clouds.snapshots[0]!.image_size = null),
  ],
  [
    'a hibernated agent without its device',
    'a hibernated agent has a snapshot and no server',
    ({ clouds }) => clouds.devices.pop(),
  ],
  [
    'a snapshot of a destroyed agent',
    'a destroyed agent has nothing anywhere',
    ({ clouds }) => clouds.snapshots.push(kept(8, 'gone')),
  ],
  [
    'a snapshot of nobody',
    'no snapshot without an agent',
    ({ clouds }) => clouds.snapshots.push(kept(8, 'who')),
  ],
  ['a kept snapshot without a row', 'no snapshot nobody knows of', (snapshot) => (snapshot.kept = [])],
  [
    'a row whose snapshot is gone',
    'every snapshot of a row is complete at Hetzner',
    ({ clouds }) => clouds.snapshots.pop(),
  ],
  [
    'a snapshot that nobody removes',
    'no snapshot is left half-made',
    ({ kept }) => (kept[0]!.status = 'removing'),
  ],
  [
    'a kept snapshot of a destroyed agent',
    'a destroyed agent has nothing anywhere',
    ({ clouds }) => clouds.snapshots.push(beside(21, 'gone')),
  ],
  ['a drill without an end', 'a drill comes to its end', ({ drills }) => (drills[0]!.status = 'running')],
  [
    'the server of a drill that is over',
    'no server without a row',
    ({ clouds }) => clouds.servers.push({ ...server(7, 'drill-1'), name: 'drill-1' }),
  ],
  [
    'a device of nobody',
    'no device without an agent',
    ({ clouds }) => clouds.devices.push({ ...clouds.devices[0]!, name: 'who.ts.net', hostname: 'join-0' }),
  ],
  [
    'a server of a failed agent',
    'a failed agent has nothing billed and says why',
    ({ clouds }) => clouds.servers.push(server(7, 'broken')),
  ],
  [
    'a failed agent without a reason',
    'a failed agent has nothing billed and says why',
    ({ agents }) => (agents[4]!.error = null),
  ],
  [
    'a key of a destroyed agent',
    'a destroyed agent has nothing anywhere',
    ({ clouds }) => clouds.sshKeys.push({ id: 8, name: 'agent-gone', labels: {} }),
  ],
  [
    'history of a destroyed agent',
    'a destroyed agent has nothing anywhere',
    ({ state }) =>
      state.push({ key: 'pulumi/.pulumi/history/agents/agent-gone/agent-gone-1.history.json', pending: 0 }),
  ],
  [
    'a lock',
    'no stack is left locked',
    ({ state }) => state.push({ key: 'pulumi/.pulumi/locks/agents/agent-a1/1.json', pending: 0 }),
  ],
  ['a pending create', 'no pending operation is left in a state', ({ state }) => (state[0]!.pending = 1)],
  ['a login', 'no login of an attempt is left', ({ logins }) => logins.push('a:1234:a1:o1:1')],
  [
    'an orphan',
    'no process of a killed worker is left',
    ({ children }) => (children[0]!.workerAlive = false),
  ],
  [
    'a CLI at rest',
    'nothing works while nothing is under way',
    ({ children }) => children.push(cli('a1:o1:2')),
  ],
])('%s is noticed', (_, invariant, break_) => {
  const snapshot = healthy();
  break_(snapshot);
  expect(checkQuiet(snapshot, expected).map((violation) => violation.invariant)).toContain(invariant);
});

const slot = (more: Partial<SlotRecord> = {}): SlotRecord => ({
  slot_id: 'slot-1',
  status: 'ready',
  agent_id: null,
  fingerprint: 'f',
  server_id: '20',
  tailnet_ip: '100.64.0.20',
  tailnet_node_id: 'd20',
  error: null,
  claimed_at: null,
  isServed: false,
  release: 'r1',
  ...more,
});

/** A slot that waits beside the agents. */
function pooled(): Snapshot {
  const snapshot = healthy();
  const { clouds, slots, state } = snapshot;
  slots.push(slot());
  state.push({ key: 'pulumi/.pulumi/stacks/agents/slot-1.json', pending: 0 });
  clouds.servers.push({ ...server(20, 'slot-1'), name: 'slot-1' });
  clouds.sshKeys.push({ id: 21, name: 'slot-1', labels: labels('slot-1') });
  const device = { id: '20', nodeId: 'd20', hostname: 'join-20', addresses: ['100.64.0.20'] };
  clouds.devices.push({ ...device, name: 'slot-1.ts.net' });
  return snapshot;
}

test('a slot that waits violates nothing', () => {
  expect(checkQuiet(pooled(), expected)).toEqual([]);
});

test('the server of a slot that was just claimed is its agent’s', () => {
  const snapshot = pooled();
  snapshot.agents.push(agent('a2', 'running', { server_id: '20', tailnet_ip: '100.64.0.20' }));
  Object.assign(snapshot.slots[0]!, { status: 'claimed', agent_id: 'a2', isServed: true });
  snapshot.operations.push(operation('o9', 'a2', { kind: 'adopt', status: 'queued' }));
  snapshot.serverNames.push({ name: 'slot-1', agent_id: 'a2' });
  snapshot.joinNames.push({ name: 'join-20', agent_id: 'a2' });
  snapshot.clouds.devices.at(-1)!.hostname = 'join-20';
  expect(checkQuiet(snapshot, expected)).toEqual([]);
});

test.each<[string, string, (snapshot: Snapshot) => void]>([
  [
    'a server of an agent and of a slot',
    'no slot has two owners',
    ({ agents }) => agents.push(agent('a2', 'running', { server_id: '20' })),
  ],
  [
    'an agent with two slots',
    'no agent has two slots',
    ({ slots }) =>
      slots.push(
        slot({ slot_id: 'slot-2', status: 'claimed', agent_id: 'a1', server_id: null }),
        slot({ slot_id: 'slot-3', status: 'adopted', agent_id: 'a1', server_id: null }),
      ),
  ],
  [
    'a claim that nobody adopts',
    'a claimed slot is adopted in the end',
    ({ slots }) => Object.assign(slots[0]!, { status: 'claimed', agent_id: 'a1' }),
  ],
  [
    'a slot without its server',
    'a slot that waits has exactly one of everything',
    ({ clouds }) => clouds.servers.pop(),
  ],
  [
    'a server of a slot that is gone',
    'nothing is left of a slot that is gone',
    ({ slots }) => Object.assign(slots[0]!, { status: 'removed', server_id: null }),
  ],
  [
    'a server of a claimed slot beside the agent’s own',
    'at most one server per agent',
    ({ slots }) => Object.assign(slots[0]!, { status: 'claimed', agent_id: 'a1' }),
  ],
  [
    'a server that says it is another agent',
    'the server of a slot that was handed over says whose it is',
    (snapshot) => {
      snapshot.slots.push(
        slot({ slot_id: 'slot-2', status: 'adopted', agent_id: 'a1', server_id: null, isServed: true }),
      );
      snapshot.tenants = new Map([['100.64.0.1', 'a2']]);
    },
  ],
])('%s is noticed', (_, invariant, break_) => {
  const snapshot = pooled();
  break_(snapshot);
  expect(checkQuiet(snapshot, expected).map((violation) => violation.invariant)).toContain(invariant);
});

test('an order gets a slot of a release that a worker had at that moment', () => {
  const changes = [
    { release: 'r1', from: 0, settled: 0 },
    { release: 'r2', from: 100, settled: 200 },
  ];
  const claimed = (claimed_at: number, release: string) => {
    const snapshot = pooled();
    Object.assign(snapshot.slots[0]!, { status: 'claimed', agent_id: 'a1', claimed_at, release });
    return checkReleases(snapshot, changes).map(({ detail }) => detail);
  };
  expect(claimed(50, 'r1')).toEqual([]);
  expect(claimed(50, 'r2')).toEqual(['a1 is on slot-1 of release r2']);
  expect(claimed(150, 'r1')).toEqual([]);
  expect(claimed(150, 'r2')).toEqual([]);
  expect(claimed(250, 'r2')).toEqual([]);
  expect(claimed(250, 'r1')).toEqual(['a1 is on slot-1 of release r1']);
});

test('a new runner may ask the CLI for its version', () => {
  const snapshot = healthy();
  snapshot.children.push({ ...cli(''), attempt: undefined, command: 'pulumi version' });
  expect(checkQuiet(snapshot, expected)).toEqual([]);
});

test('an agent whose name begins like a destroyed one’s is not taken for it', () => {
  const snapshot = healthy();
  snapshot.agents.push(agent('a', 'destroyed'));
  expect(checkQuiet(snapshot, expected)).toEqual([]);
});

test('what waits to be tried again may still have something in the clouds, and is not at rest', () => {
  const snapshot = healthy();
  snapshot.agents[3]!.status = 'destroying';
  snapshot.operations.push(operation('o4', 'gone', { kind: 'destroy', status: 'queued', due_in: 500 }));
  snapshot.clouds.servers.push(server(7, 'gone'));
  expect(checkQuiet(snapshot, expected)).toEqual([]);
});

test('a running agent whose server was deleted by hand may be without one, but never has two', () => {
  const snapshot = healthy();
  snapshot.clouds.servers.shift();
  snapshot.clouds.devices.shift();
  const serverDeleted = { ...expected, serverDeleted: new Set(['a1']) };
  expect(checkQuiet(snapshot, serverDeleted)).toEqual([]);
  snapshot.clouds.servers.push(server(1, 'a1'), server(2, 'a1'));
  expect(checkQuiet(snapshot, serverDeleted)).not.toEqual([]);
});
