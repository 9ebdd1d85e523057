import { audit } from '../agents/audit.ts';
import { type AgentRow, insertAgent, lockAgent, type NewAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { OperationKind } from '../database/vocabulary.ts';
import { insertFirstProvision } from '../operations/first-provision.ts';
import { type OperationRequest, refuseImpossible, requestOperation } from '../operations/requests.ts';
import type { OperationRow } from '../operations/rows.ts';
import type { Queue } from '../queue/queue.ts';
import { type Change, enterChange, findHoldingBreaker, holdChange } from './admission.ts';
import type { BreakerName } from './breakers.ts';

/** The operation that makes the change, or the breaker that holds it back. */
export type ChangeOutcome = { operation: OperationRow } | { heldBy: BreakerName };

export interface ChangeRequest {
  agentId: string;
  kind: OperationKind;
  parameters?: OperationParameters | undefined;
  /** Why the service wants it, in plain words. */
  cause: string;
  /** Whom the audit log names; default: `service`. */
  actor?: string | undefined;
  /** The business time. */
  at: Date;
}

/**
 * Requests a change that the service itself wants on an existing agent. Asking again while it is held or
 * under way changes nothing but its cause and parameters. A transaction should change one agent only: it
 * locks the agent, then the breakers.
 * @throws NotFoundError
 * @throws ConflictError if the agent's status does not allow it or a conflicting operation is unfinished
 */
export async function requestChange(
  trx: Transaction,
  queue: Queue,
  request: ChangeRequest,
): Promise<ChangeOutcome> {
  const { agentId, kind, at } = request;
  const agent = await lockAgent(trx, agentId);
  const change = toChange(request);
  const known = (await findUnfinished(trx, agentId, kind)) ?? (await updateHeld(trx, change));
  if (known !== undefined) return known;
  await refuseImpossible(trx, toOperationRequest(change));
  const heldBy = await findHoldingBreaker(trx, change, agent, at);
  if (heldBy === undefined) return { operation: await queueChange(trx, queue, { change, agent, at }) };
  await holdChange(trx, heldBy, change, at);
  await audit(trx, {
    actor: change.actor,
    action: 'change.hold',
    agentId,
    details: { kind, breaker: heldBy, cause: change.cause },
  });
  return { heldBy };
}

/**
 * Inserts an agent that was bought and requests its provision. A held one stays `requested` and visible.
 * @param request `delaySeconds`: how long the provision waits at most for something to hasten it
 * @throws ConflictError if the id was ever used; nothing has been written then
 */
export async function requestOrderedAgent(
  trx: Transaction,
  queue: Queue,
  request: { agent: NewAgent; stripeEventId: string; actor: string; at: Date; delaySeconds?: number },
): Promise<ChangeOutcome> {
  const { agent, stripeEventId, actor, at, delaySeconds } = request;
  const { agentId } = agent;
  await insertAgent(trx, agent);
  const cause = 'A customer has paid for it.';
  const change: Change = { agentId, kind: 'provision', parameters: {}, actor, cause, stripeEventId };
  const heldBy = await findHoldingBreaker(trx, change, agent, at);
  const created = { actor, action: 'agent.create', agentId };
  if (heldBy !== undefined) {
    await holdChange(trx, heldBy, change, at);
    await audit(trx, { ...created, details: { ...agent, heldBy } });
    return { heldBy };
  }
  const operation = await insertProvision(trx, queue, change, { agent, at, delaySeconds });
  await audit(trx, { ...created, operationId: operation.operation_id, details: { ...agent } });
  return { operation };
}

/** Withdraws held changes that are no longer wanted; without a kind, all of the agent's. */
export async function withdrawChange(trx: Transaction, agentId: string, kind?: OperationKind): Promise<void> {
  const withdrawn = await trx
    .deleteFrom('held_changes')
    .where('agent_id', '=', agentId)
    .$if(kind !== undefined, (query) => query.where('kind', '=', kind!))
    .returning(['kind', 'breaker'])
    .execute();
  for (const details of withdrawn)
    await audit(trx, { actor: 'service', action: 'change.withdraw', agentId, details });
}

/** Queues the operation and enters the change in the ledger. */
export async function queueChange(
  trx: Transaction,
  queue: Queue,
  { change, agent, at }: { change: Change; agent: AgentRow; at: Date },
): Promise<OperationRow> {
  if (change.kind === 'provision') {
    const own = { agentId: agent.agent_id, location: agent.location, plan: agent.plan };
    const operation = await insertProvision(trx, queue, change, { agent: own, at });
    const { operation_id: operationId } = operation;
    const { actor, cause } = change;
    const agentId = agent.agent_id;
    await audit(trx, { actor, action: 'agent.provision', agentId, operationId, details: { cause } });
    return operation;
  }
  const operation = await requestOperation(trx, queue, toOperationRequest(change));
  await enterChange(trx, change, { operationId: operation.operation_id, at });
  return operation;
}

interface ProvisionRequest {
  agent: Pick<NewAgent, 'agentId' | 'location' | 'plan'>;
  at: Date;
  delaySeconds?: number | undefined;
}

async function insertProvision(
  trx: Transaction,
  queue: Queue,
  change: Change,
  { agent, at, delaySeconds }: ProvisionRequest,
): Promise<OperationRow> {
  const { stripeEventId } = change;
  const operation = await insertFirstProvision(trx, queue, { agent, stripeEventId, delaySeconds });
  await enterChange(trx, change, { operationId: operation.operation_id, at });
  return operation;
}

function toChange({ agentId, kind, parameters = {}, cause, actor = 'service' }: ChangeRequest): Change {
  return { agentId, kind, parameters, cause, actor };
}

/** As requestOperation takes it: an operation without parameters has none in the audit log. */
function toOperationRequest({ agentId, kind, parameters, actor, cause }: Change): OperationRequest {
  const hasParameters = Object.keys(parameters).length > 0;
  return { agentId, kind, actor, cause, ...(hasParameters && { parameters }) };
}

async function findUnfinished(
  trx: Transaction,
  agentId: string,
  kind: OperationKind,
): Promise<{ operation: OperationRow } | undefined> {
  const operation = await trx
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('kind', '=', kind)
    .where('status', 'in', ['queued', 'active'])
    .executeTakeFirst();
  return operation && { operation };
}

async function updateHeld(trx: Transaction, change: Change): Promise<{ heldBy: BreakerName } | undefined> {
  const held = await trx
    .updateTable('held_changes')
    .set({ cause: change.cause, parameters: jsonText(change.parameters) })
    .where('agent_id', '=', change.agentId)
    .where('kind', '=', change.kind)
    .returning('breaker')
    .executeTakeFirst();
  return held && { heldBy: held.breaker };
}
