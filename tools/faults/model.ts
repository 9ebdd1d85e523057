import { agentName, belongings, checkAgent } from './belongings.ts';
import { checkKept, isDrill, keptAs } from './kept-snapshots.ts';
import { checkSlotsAlways, checkSlotsAtRest, isPresent, ownerByRow, stacksAtWork } from './slots.ts';
import type { AgentRecord, OperationRecord, Snapshot } from './snapshot.ts';
import { type Violation, violated } from './violation.ts';

export type { Violation } from './violation.ts';

/** What the suite knows from its own actions. */
export interface Expectations {
  /** Events that were answered 200. */
  answeredEvents: ReadonlySet<string>;
  /** Paid sessions that were answered 200, with the agent that each must get. */
  paid: ReadonlyMap<string, string>;
  /** Agents whose server was deleted by hand; they may be running without one. */
  serverDeleted: ReadonlySet<string>;
  /** Whether the database was restored or rebuilt: a provision may be lost, or begun twice. */
  recovered?: boolean;
}

/** Checks what must hold at any moment. */
export function checkAlways(snapshot: Snapshot): Violation[] {
  return [
    ...violated(
      'at most one server per agent',
      doubled(snapshot.clouds.servers.map((one) => ownerByRow(snapshot, one))),
    ),
    ...violated('no server without a row', serversWithoutRow(snapshot)),
    ...violated('attempts at one agent never overlap', overlappingAttempts(snapshot)),
    ...violated('one attempt at a time has processes', overlappingProcesses(snapshot)),
    ...violated('sequence numbers of events have no gap', gaps(snapshot)),
    ...checkSlotsAlways(snapshot),
  ];
}

const DRILL_FIREWALL = 'agents-drill';

/** Checks what must hold once nothing is in progress, faults are over and every required process runs. */
export function checkQuiet(snapshot: Snapshot, expected: Expectations): Violation[] {
  const resting = new Set(snapshot.operations.filter(isUnfinished).map((operation) => operation.agent_id));
  const [, ...others] = snapshot.clouds.firewalls.filter(({ name }) => name !== DRILL_FIREWALL);
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
    ...settled.flatMap((agent) => checkAgent(snapshot, agent, expected.serverDeleted)),
    ...checkSlotsAtRest(snapshot),
    ...violated('no device without an agent', devicesWithoutAgent(snapshot)),
    ...violated('no snapshot without an agent', snapshotsWithoutAgent(snapshot)),
    ...checkKept(snapshot),
    ...violated('no stack is left locked', stateKeys(snapshot, '/locks/')),
    ...violated('no pending operation is left in a state', pendingStates(snapshot, resting)),
    ...violated('no login of an attempt is left', snapshot.logins),
    ...violated(
      'no process of a killed worker is left',
      snapshot.children.filter((child) => !child.workerAlive).map(({ pid, command }) => `${pid} ${command}`),
    ),
    ...violated(
      'nothing works while nothing is under way',
      resting.size > 0 || stacksAtWork(snapshot).length > 0
        ? []
        : snapshot.children.filter((child) => isAtWork(child)).map(({ pid, command }) => `${pid} ${command}`),
    ),
    ...violated(
      'one firewall for all',
      others.length > 0 ? [snapshot.clouds.firewalls.map(({ name }) => name).join(', ')] : [],
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

function doubled(owners: string[]): string[] {
  return [...new Set(owners.filter((owner, index) => owners.indexOf(owner) !== index))].map(
    (owner) => `${owner} has ${owners.filter((one) => one === owner).length} servers`,
  );
}

/** Ids of all that may have something in the clouds. */
const owners = ({ agents, slots }: Snapshot): string[] => [
  ...agents.map((agent) => agent.agent_id),
  ...slots.filter(isPresent).map((slot) => slot.slot_id),
];

function serversWithoutRow(snapshot: Snapshot): string[] {
  const known = new Set(owners(snapshot));
  return snapshot.clouds.servers
    .filter((server) => !known.has(ownerByRow(snapshot, server)) && !isDrill(snapshot, server.name))
    .map((server) => server.name);
}

function devicesWithoutAgent(snapshot: Snapshot): string[] {
  const known = new Set(owners(snapshot).flatMap((owner) => belongings(snapshot, owner).devices));
  return snapshot.clouds.devices.filter((device) => !known.has(device)).map(({ name }) => name);
}

function snapshotsWithoutAgent(snapshot: Snapshot): string[] {
  const known = new Set(
    snapshot.agents.flatMap(({ agent_id: agentId }) => belongings(snapshot, agentId).snapshots),
  );
  return snapshot.clouds.snapshots
    .filter((one) => !known.has(one) && keptAs(one) === undefined)
    .map(({ description }) => description);
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

function missingAgents(
  { orders, agents, operations }: Snapshot,
  { paid, recovered }: Expectations,
): string[] {
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
    return count === 1 || recovered ? [] : [`${agentId} has ${count} provisions`];
  });
}

function stateKeys({ state }: Snapshot, part: string): string[] {
  return state.filter(({ key }) => key.includes(part)).map(({ key }) => key);
}

function pendingStates(snapshot: Snapshot, resting: ReadonlySet<string>): string[] {
  const atWork = [...[...resting].map(agentName), ...stacksAtWork(snapshot)];
  return snapshot.state
    .filter(({ key, pending }) => pending > 0 && !atWork.some((name) => key.includes(`/${name}`)))
    .map(({ key, pending }) => `${key}: ${pending}`);
}
