import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { appendEvents } from './events/events.ts';
import { endWorkflowRun } from './run-cancellations.ts';

/** queued → cancelled. */
export async function cancelQueued(
  trx: Transaction,
  operation: { operation_id: string; attempt: number },
): Promise<void> {
  await endWorkflowRun(trx, operation.operation_id);
  await trx
    .updateTable('operations')
    .set({
      status: 'cancelled',
      dispatched_at: null,
      cancel_requested: true,
      finished_at: sql`clock_timestamp()`,
      updated_at: sql`now()`,
    })
    .where('operation_id', '=', operation.operation_id)
    .where('status', '=', 'queued')
    .execute();
  await appendEvents(trx, operation.operation_id, operation.attempt, [
    { type: 'step', data: { step: 'finished' } },
    { type: 'status', data: { status: 'cancelled', attempt: operation.attempt } },
  ]);
}

/** An active operation is asked to end; its worker hears of it with the next heartbeat, a workflow run is cancelled at GitHub. */
export async function askToEnd(trx: Transaction, operationId: string): Promise<void> {
  await endWorkflowRun(trx, operationId);
  await trx
    .updateTable('operations')
    .set({ cancel_requested: true, updated_at: sql`now()` })
    .where('operation_id', '=', operationId)
    .execute();
}
