import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { appendEvents } from './events/events.ts';
import { endWorkflowRun } from './run-cancellations.ts';
import type { OperationKind } from './states.ts';
import { cancelBeforeBegin } from './transitions.ts';

/** queued → cancelled. */
export async function cancelQueued(
  trx: Transaction,
  operation: { operation_id: string; attempt: number },
): Promise<void> {
  await endWorkflowRun(trx, operation.operation_id);
  await cancelBeforeBegin(trx, operation);
  await appendEvents(trx, operation.operation_id, operation.attempt, [
    { type: 'step', data: { step: 'finished' } },
    { type: 'status', data: { status: 'cancelled', attempt: operation.attempt } },
  ]);
}

/**
 * Requests the cancellation of an active operation. A worker sees the request with its next heartbeat; a
 * workflow run is cancelled at GitHub.
 */
export async function askToEnd(trx: Transaction, operationId: string): Promise<void> {
  await endWorkflowRun(trx, operationId);
  await trx
    .updateTable('operations')
    .set({ cancel_requested: true, updated_at: sql`now()` })
    .where('operation_id', '=', operationId)
    .execute();
}

/**
 * Cancels an agent's queued operations and requests the cancellation of its active one, except for the
 * operation `own`.
 */
export async function endUnfinished(trx: Transaction, agentId: string, own?: string): Promise<void> {
  const unfinished = await trx
    .selectFrom('operations')
    .select(['operation_id', 'status', 'attempt'])
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['queued', 'active'])
    .$if(own !== undefined, (query) => query.where('operation_id', '<>', own!))
    .forNoKeyUpdate()
    .execute();
  for (const operation of unfinished) {
    if (operation.status === 'queued') await cancelQueued(trx, operation);
    else await askToEnd(trx, operation.operation_id);
  }
}

/** Cancels an agent's queued operations of one kind. */
export async function cancelWaiting(trx: Transaction, agentId: string, kind: OperationKind): Promise<void> {
  const waiting = await trx
    .selectFrom('operations')
    .select(['operation_id', 'attempt'])
    .where('agent_id', '=', agentId)
    .where('kind', '=', kind)
    .where('status', '=', 'queued')
    .forNoKeyUpdate()
    .execute();
  for (const operation of waiting) await cancelQueued(trx, operation);
}
