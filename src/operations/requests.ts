import { audit } from '../agents/audit.ts';
import { type AgentRow, lockAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationDefinition } from './definition.ts';
import { givesWayTo, lockExclusive, overtake } from './give-way.ts';
import { insertOperations, type NewOperation } from './insert.ts';
import { type Asked, findDouble, mayOvertake, refuseHeld, refuseWithoutSnapshot } from './refusals.ts';
import { exclusiveKinds, findOperation, findRequestable } from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';
import { takeOverAutomatic } from './take-over.ts';

/**
 * Inserts a queued operation and announces it, both in the caller's transaction.
 * @throws Error if this version does not know the kind
 */
export async function insertOperation(
  trx: Transaction,
  queue: Queue,
  operation: NewOperation,
): Promise<OperationRow> {
  const delaySeconds = operation.delaySeconds ?? 0;
  const [row] = await insertOperations(trx, [operation]);
  await queue.announce(trx, {
    operationId: row!.operation_id,
    agentId: row!.agent_id,
    ...(delaySeconds > 0 ? { startAfter: new Date(Date.now() + delaySeconds * 1000) } : {}),
  });
  return row!;
}

export interface OperationRequest {
  agentId: string;
  kind: OperationKind;
  actor: string;
  parameters?: OperationParameters | undefined;
  /** Why the service itself requests it; goes to the audit log. Absent: a person requests it. */
  cause?: string | undefined;
  /** Who proposed what the actor has approved; goes to the audit log. */
  proposedBy?: string | undefined;
}

/**
 * Queues an operation that a person or the service requests on an existing agent.
 * @throws NotFoundError
 * @throws ConflictError if the agent's status, a hold or its protection does not allow it, or a conflicting
 * operation is unfinished
 */
export async function requestOperation(
  trx: Transaction,
  queue: Queue,
  request: OperationRequest,
): Promise<OperationRow> {
  const { agentId, kind, actor, parameters, cause, proposedBy } = request;
  const definition = await refuseImpossible(trx, request);
  await overtakeWaiting(trx, queue, request);
  const operation =
    (cause === undefined ? await takeOverAutomatic(trx, queue, { agentId, definition }) : undefined) ??
    (await insertRequested(trx, queue, request, definition));
  const details = {
    ...parameters,
    ...(cause !== undefined && { cause }),
    ...(proposedBy !== undefined && { proposedBy }),
  };
  await audit(trx, {
    actor,
    action: `agent.${kind}`,
    agentId,
    operationId: operation.operation_id,
    ...((parameters ?? cause ?? proposedBy) !== undefined && { details }),
  });
  return operation;
}

async function insertRequested(
  trx: Transaction,
  queue: Queue,
  { agentId, kind, parameters, cause }: OperationRequest,
  definition: OperationDefinition,
): Promise<OperationRow> {
  const asksAgain = definition.asksAgain === true && cause !== undefined;
  if (!asksAgain) await definition.request?.(trx, agentId);
  return insertOperation(trx, queue, { agentId, kind, parameters, asksAgain });
}

/**
 * Locks the agent and checks that the operation is possible now, without changing anything.
 * @throws NotFoundError
 * @throws ConflictError if the agent's status does not allow it or a conflicting operation is unfinished
 */
export async function refuseImpossible(
  trx: Transaction,
  request: OperationRequest,
): Promise<OperationDefinition> {
  const { agentId, kind, parameters, cause } = request;
  const agent = await lockAgent(trx, agentId);
  const definition = cause === undefined ? findRequestable(kind) : findOperation(kind);
  if (definition === undefined) throw new ConflictError(`This version has no operation ${kind}`);
  await refuseHeld(trx, agent, definition);
  // Only the service requests a kind without `from`.
  const from = definition.from ?? definition.resumesFrom ?? [];
  if (!from.includes(agent.status)) {
    throw new ConflictError(
      `Agent ${agentId} is ${agent.status}; ${kind} is possible while it is ${from.join(', ')}`,
    );
  }
  await refuseDouble(trx, request);
  await refuseWithoutSnapshot(trx, definition, request);
  const refusal = definition.refusal?.(agent, parameters ?? {});
  if (refusal !== undefined) throw new ConflictError(refusal);
  return definition;
}

/**
 * Refuses a second operation of this kind, or a second exclusive one. One that only waits is no obstacle
 * where `overtakeWaiting` ends it.
 * @throws ConflictError
 */
export async function refuseDouble(trx: Transaction, asked: Asked & { agentId: string }): Promise<void> {
  const { agentId } = asked;
  const other = findDouble(await listUnfinished(trx, agentId), asked);
  if (other !== undefined)
    throw new ConflictError(
      `A ${other.kind} of agent ${agentId} is already under way (operation ${other.operation_id})`,
    );
}

/** The agent's queued and active operations, in the order of their requests. */
export function listUnfinished(database: Database, agentId: string): Promise<OperationRow[]> {
  return database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['queued', 'active'])
    .orderBy('sequence')
    .execute();
}

/** Ends what only waits, for an exclusive operation that may. The caller has locked the agent. */
export async function overtakeWaiting(
  trx: Transaction,
  queue: Queue,
  asked: Asked & { agentId: string; actor: string },
): Promise<void> {
  if (!mayOvertake(asked) || !exclusiveKinds().includes(asked.kind)) return;
  const waiting = await lockExclusive(trx, asked.agentId);
  for (const operation of waiting.filter((one) => givesWayTo(one, asked)))
    await overtake(trx, queue, operation, asked);
}

/** @throws NotFoundError */
export async function getOperation(database: Database, operationId: string): Promise<OperationRow> {
  const operation = await database
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', operationId)
    .executeTakeFirst();
  if (operation === undefined) throw new NotFoundError(`There is no operation ${operationId}`);
  return operation;
}

/**
 * Locks an operation and its agent until the transaction ends. Everything locks the agent first, so that
 * locks cannot deadlock.
 * @throws NotFoundError
 */
export async function lockOperation(
  trx: Transaction,
  operationId: string,
): Promise<{ agent: AgentRow; operation: OperationRow }> {
  const { agent_id: agentId } = await getOperation(trx, operationId);
  const agent = await lockAgent(trx, agentId);
  const operation = await trx
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', operationId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  return { agent, operation };
}
