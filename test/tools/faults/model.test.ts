import { expect, test } from 'vitest';
import { checkQuiet, type Expectations } from '../../../tools/faults/model.ts';
import type { OperationRecord, Snapshot } from '../../../tools/faults/snapshot.ts';

const kept = (id: number, agentId: string) => ({
  id,
  description: `agent-${agentId}`,
  status: 'available',
  image_size: 2.5,
  labels: labels(agentId),
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
    orders: [{ session_id: 'cs_1', agent_id: 'a1', attention: null }],
    storedEvents: ['evt_1'],
    state: ['a1', 'off', 'asleep'].map((id) => ({
      key: `pulumi/.pulumi/stacks/agents/agent-${id}.json`,
      pending: 0,
    })),
    logins: [],
    clouds: {
      servers: [server(1, 'a1'), { ...server(5, 'off'), status: 'off' }],
      snapshots: [kept(9, 'asleep')],
      sshKeys: ['a1', 'off', 'asleep'].map((id, n) => ({
        id: n + 2,
        name: `agent-${id}`,
        labels: labels(id),
      })),
      firewalls: [{ id: 3, name: 'agents-default' }],
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
