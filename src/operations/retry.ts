import { audit } from '../agents/audit.ts';
import { type Transaction, violatedConstraint } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './claims.ts';
import { appendEvents } from './events/events.ts';
import { hastenWaiting } from './hasten.ts';
import { refuseHeld } from './refusals.ts';
import { findOperation } from './registry.ts';
import { lockOperation, overtakeWaiting, refuseDouble } from './requests.ts';
import type { OperationKind } from './states.ts';
import { forgetChange } from './take-over.ts';
import { queueAgain } from './transitions.ts';

/**
 * Queues another attempt of a failed or cancelled operation and resets its counts of tries. One that the
 * service itself wanted becomes the person's: later decisions do not withdraw it.
 * @throws NotFoundError
 * @throws ConflictError if the agent's status does not allow it, a conflicting operation is unfinished, or it
 * is a destroy that the service wanted and has not begun
 */
export async function retryOperation(
  trx: Transaction,
  queue: Queue,
  request: { operationId: string; actor: string },
): Promise<OperationRow> {
  const { agent, operation } = await lockOperation(trx, request.operationId);
  const agentId = agent.agent_id;
  if (operation.status !== 'failed' && operation.status !== 'cancelled') {
    throw new ConflictError(
      `Operation ${operation.operation_id} is ${operation.status}; only a failed or cancelled one can be retried`,
    );
  }
  const definition = findOperation(operation.kind);
  if (definition?.hastenedIn === agent.status) {
    return hastenSuccessor(trx, queue, { agentId, kind: operation.kind, actor: request.actor });
  }
  // It would ask again whether Stripe demands it, which is not what a person means. `destroying` is above.
  if (operation.asks_again)
    throw new ConflictError(
      `The ${operation.kind} ${operation.operation_id} was wanted for want of payment and has removed nothing; to ${operation.kind} agent ${agentId} now, request it again`,
    );
  const allowed = definition?.retryFrom ?? definition?.from;
  if (!allowed?.includes(agent.status)) {
    throw new ConflictError(
      `Agent ${agentId} is ${agent.status}; its ${operation.kind} cannot be retried now`,
    );
  }
  if (definition !== undefined) await refuseHeld(trx, agent, definition);
  const asked = { agentId, kind: operation.kind, parameters: operation.parameters, actor: request.actor };
  if (definition?.exclusive) await refuseDouble(trx, asked);
  await overtakeWaiting(trx, queue, asked);
  await definition?.beforeRetry?.(trx, agentId);
  return queueNextAttempt(trx, queue, operation, request.actor);
}

/** The service has queued a successor for later. Makes it due now, since the cause may be fixed. */
async function hastenSuccessor(
  trx: Transaction,
  queue: Queue,
  { agentId, kind, actor }: { agentId: string; kind: OperationKind; actor: string },
): Promise<OperationRow> {
  const waiting = await hastenWaiting(trx, queue, { agentId, kind });
  if (waiting === undefined) throw new ConflictError(`A ${kind} of agent ${agentId} is under way`);
  await audit(trx, { actor, action: 'operation.retry', agentId, operationId: waiting.operation_id });
  return waiting;
}

async function queueNextAttempt(
  trx: Transaction,
  queue: Queue,
  operation: OperationRow,
  actor: string,
): Promise<OperationRow> {
  try {
    const row = await queueAgain(trx, operation);
    await forgetChange(trx, row.operation_id);
    await appendEvents(trx, row.operation_id, row.attempt, [
      { type: 'step', data: { step: 'queued' } },
      { type: 'status', data: { status: 'queued', attempt: row.attempt } },
    ]);
    await audit(trx, {
      actor,
      action: 'operation.retry',
      agentId: row.agent_id,
      operationId: row.operation_id,
    });
    await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id });
    return row;
  } catch (error) {
    if (violatedConstraint(error) !== undefined)
      throw new ConflictError(`Another ${operation.kind} of this agent is under way`, { cause: error });
    throw error;
  }
}
