import type { AgentRecord, OperationRecord, Snapshot } from './snapshot.ts';

/** A violated invariant and the evidence. */
export interface Violation {
  invariant: string;
  detail: string;
}

/** What the suite knows from its own actions. */
export interface Expectations {
  /** Events that were answered 200. */
  answeredEvents: ReadonlySet<string>;
  /** Paid sessions that were answered 200, with the agent that each must get. */
  paid: ReadonlyMap<string, string>;
  /** Agents whose server was deleted by hand; they may be running without one. */
  serverDeleted: ReadonlySet<string>;
}

const serverName = (agentId: string) => `agent-${agentId}`;
const violated = (invariant: string, details: string[]): Violation[] =>
  details.map((detail) => ({ invariant, detail }));

/** Checks what must hold at any moment. */
export function checkAlways(snapshot: Snapshot): Violation[] {
  return [
    ...violated('at most one server per agent', doubled(snapshot.clouds.servers.map(serverOwner))),
    ...violated('no server without a row', serversWithoutRow(snapshot)),
    ...violated('attempts at one agent never overlap', overlappingAttempts(snapshot)),
    ...violated('one attempt at a time has processes', overlappingProcesses(snapshot)),
    ...violated('sequence numbers of events have no gap', gaps(snapshot)),
  ];
}

/** Checks what must hold once nothing is in progress, faults are over and every required process runs. */
export function checkQuiet(snapshot: Snapshot, expected: Expectations): Violation[] {
  const resting = new Set(snapshot.operations.filter(isUnfinished).map((operation) => operation.agent_id));
  const settled = snapshot.agents.filter((agent) => !resting.has(agent.agent_id));
  return [
    ...checkAlways(snapshot),
    ...violated('answered events are stored', missingEvents(snapshot, expected)),
    ...violated('every paid order has its agent', missingAgents(snapshot, expected)),
    ...violated(
      'an agent comes to rest',
      settled
        .filter(isOnItsWay)
        .map((agent) => `${agent.agent_id} is ${agent.status} with nothing under way`),
    ),
    ...settled.flatMap((agent) => checkAgent(snapshot, agent, expected)),
    ...violated('no stack is left locked', stateKeys(snapshot, '/locks/')),
    ...violated('no pending operation is left in a state', pendingStates(snapshot, resting)),
    ...violated('no login of an attempt is left', snapshot.logins),
    ...violated(
      'no process of a killed worker is left',
      snapshot.children.filter((child) => !child.workerAlive).map(({ pid, command }) => `${pid} ${command}`),
    ),
    ...violated(
      'nothing works while nothing is under way',
      resting.size > 0
        ? []
        : snapshot.children.filter((child) => isAtWork(child)).map(({ pid, command }) => `${pid} ${command}`),
    ),
    ...violated(
      'one firewall for all',
      snapshot.clouds.firewalls.length > 1
        ? [snapshot.clouds.firewalls.map(({ name }) => name).join(', ')]
        : [],
    ),
  ];
}

/**
 * An idle engine process is kept for the next operation; a new one asks the CLI for its version, on no stack.
 */
const isAtWork = ({ kind, attempt }: Snapshot['children'][number]) =>
  kind !== 'runner' && !(kind === 'cli' && attempt === undefined);

/** Queued for later, so parts of it may still be in the clouds: visible, and not forgotten. */
function isUnfinished(operation: OperationRecord): boolean {
  return operation.status === 'queued' || operation.status === 'active';
}

const isOnItsWay = ({ status }: AgentRecord) =>
  ['requested', 'provisioning', 'stopping', 'destroying'].includes(status);

function checkAgent(snapshot: Snapshot, agent: AgentRecord, expected: Expectations): Violation[] {
  const found = belongings(snapshot, agent.agent_id);
  switch (agent.status) {
    case 'running':
      return violated(
        'a running agent has exactly one of everything',
        faultsOfRunning(agent, found, expected),
      );
    case 'failed':
      return violated('a failed agent has nothing billed and says why', [
        ...found.billed,
        ...(agent.error ? [] : [`${agent.agent_id} gives no reason`]),
      ]);
    case 'destroyed':
      return violated('a destroyed agent has nothing anywhere', [...found.billed, ...found.state]);
    default:
      return [];
  }
}

type Belongings = ReturnType<typeof belongings>;

/** Everything of one agent in the clouds and in Pulumi's table. */
function belongings({ clouds, state, joinNames }: Snapshot, agentId: string) {
  const name = serverName(agentId);
  const servers = clouds.servers.filter((server) => serverOwner(server) === agentId || server.name === name);
  const sshKeys = clouds.sshKeys.filter((key) => key.name === name || key.labels['agent-id'] === agentId);
  const hostnames = new Set(joinNames.filter((row) => row.agent_id === agentId).map((row) => row.name));
  const devices = clouds.devices.filter(
    (device) => device.name.split('.')[0] === name || hostnames.has(device.hostname),
  );
  const keys = clouds.keys.filter((key) => key.description.replace(/ \d+$/, '') === name);
  const statePattern = new RegExp(`/${name}(/|\\.|$)`);
  return {
    servers,
    sshKeys,
    devices,
    keys,
    billed: [
      ...servers.map((server) => `server ${server.name} (${server.id})`),
      ...sshKeys.map((key) => `SSH key ${key.name}`),
      ...devices.map((device) => `device ${device.name}`),
      ...keys.map((key) => `tailnet key ${key.description}`),
    ],
    state: state.filter(({ key }) => statePattern.test(key)).map(({ key }) => `state row ${key}`),
  };
}

function faultsOfRunning(agent: AgentRecord, found: Belongings, { serverDeleted }: Expectations): string[] {
  const id = agent.agent_id;
  const [server] = found.servers;
  const faults: string[] = [];
  const least = serverDeleted.has(id) ? 0 : 1;
  for (const [what, count] of [
    ['servers', found.servers.length],
    ['devices', found.devices.length],
  ] as const)
    if (count > 1 || count < least) faults.push(`${id} has ${count} ${what}`);
  if (found.sshKeys.length !== 1) faults.push(`${id} has ${found.sshKeys.length} SSH keys`);
  // The key it joined with is used up and no longer listed; any other could still let a machine in.
  if (found.keys.length > 0)
    faults.push(`${id} has ${found.keys.length} tailnet keys that can still be used`);
  if (server !== undefined && String(server.id) !== agent.server_id)
    faults.push(`${id} says server ${agent.server_id}, Hetzner has ${server.id}`);
  // A server that was just deleted by hand may still be shutting down.
  const going = serverDeleted.has(id) && server?.status === 'deleting';
  if (server !== undefined && server.status !== 'running' && !going)
    faults.push(`server of ${id} is ${server.status}`);
  const [device] = found.devices;
  if (device !== undefined && agent.tailnet_ip !== null && !device.addresses.includes(agent.tailnet_ip))
    faults.push(`${id} says ${agent.tailnet_ip}, its device has ${device.addresses.join(', ')}`);
  if (device !== undefined && agent.tailnet_node_id !== device.nodeId)
    faults.push(`${id} says device ${agent.tailnet_node_id}, its device is ${device.nodeId}`);
  if (!found.state.some((row) => row.includes('/stacks/'))) faults.push(`${id} has no stack`);
  return faults;
}

function serverOwner(server: { name: string; labels: Record<string, string> }): string {
  return server.labels['agent-id'] ?? server.name.replace(/^agent-/, '');
}

function doubled(owners: string[]): string[] {
  return [...new Set(owners.filter((owner, index) => owners.indexOf(owner) !== index))].map(
    (owner) => `${owner} has ${owners.filter((one) => one === owner).length} servers`,
  );
}

function serversWithoutRow({ clouds, agents }: Snapshot): string[] {
  const known = new Set(agents.map((agent) => agent.agent_id));
  return clouds.servers.filter((server) => !known.has(serverOwner(server))).map((server) => server.name);
}

/** From the recorded begin and end events: no two attempts at the same agent are open at once. */
function overlappingAttempts({ statusEvents }: Snapshot): string[] {
  const open = new Map<string, { operation: string; attempt: number }>();
  const problems: string[] = [];
  for (const event of statusEvents) {
    const held = open.get(event.agent_id);
    if (event.status === 'active') {
      if (held !== undefined)
        problems.push(
          `${event.agent_id}: attempt ${event.attempt} of ${event.operation_id} began while ${held.attempt} of ${held.operation} was open`,
        );
      open.set(event.agent_id, { operation: event.operation_id, attempt: event.attempt });
    } else if (held?.operation === event.operation_id) open.delete(event.agent_id);
  }
  return problems;
}

/** From the processes: every CLI carries its attempt's login. */
function overlappingProcesses({ children }: Snapshot): string[] {
  const attempts = new Map<string, Set<string>>();
  for (const { kind, attempt } of children) {
    if (kind === 'runner' || attempt === undefined) continue;
    const agentId = attempt.split(':')[0]!;
    attempts.set(agentId, (attempts.get(agentId) ?? new Set()).add(attempt));
  }
  return [...attempts]
    .filter(([, of]) => of.size > 1)
    .map(([agentId, of]) => `${agentId}: ${[...of].join(' and ')}`);
}

function gaps({ sequences }: Snapshot): string[] {
  return sequences
    .filter(({ count, last }) => count !== last)
    .map(
      ({ operation_id, count, last }) => `${operation_id} has ${count} events, the last is number ${last}`,
    );
}

function missingEvents({ storedEvents }: Snapshot, { answeredEvents }: Expectations): string[] {
  const stored = new Set(storedEvents);
  return [...answeredEvents].filter((id) => !stored.has(id));
}

function missingAgents({ orders, agents, operations }: Snapshot, { paid }: Expectations): string[] {
  const bySession = new Map(orders.map((order) => [order.session_id, order]));
  const known = new Set(agents.map((agent) => agent.agent_id));
  const provisions = operations
    .filter(({ kind }) => kind === 'provision')
    .map((operation) => operation.agent_id);
  return [...paid].flatMap(([session, agentId]) => {
    const order = bySession.get(session);
    if (order === undefined) return [`no order for ${session}`];
    if (order.attention !== null) return [`${session} needs attention: ${order.attention}`];
    if (!known.has(agentId)) return [`no agent ${agentId} for ${session}`];
    const count = provisions.filter((one) => one === agentId).length;
    return count === 1 ? [] : [`${agentId} has ${count} provisions`];
  });
}

function stateKeys({ state }: Snapshot, part: string): string[] {
  return state.filter(({ key }) => key.includes(part)).map(({ key }) => key);
}

function pendingStates({ state }: Snapshot, resting: ReadonlySet<string>): string[] {
  return state
    .filter(
      ({ key, pending }) => pending > 0 && ![...resting].some((id) => key.includes(`/${serverName(id)}`)),
    )
    .map(({ key, pending }) => `${key}: ${pending}`);
}
