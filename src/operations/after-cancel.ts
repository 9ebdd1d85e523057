import { recordFailure } from '../agents/lifecycle.ts';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { findOperation } from './registry.ts';
import type { OperationRow } from './rows.ts';

/**
 * Updates the agent after the cancellation of an operation that may have begun.
 * @param error what its row tells people
 */
export async function afterCancel(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  error = `The ${row.kind} was cancelled`,
): Promise<void> {
  const ending = { trx, queue, agentId: row.agent_id, error };
  const operation = findOperation(row.kind);
  if (operation?.cancel !== undefined) await operation.cancel(ending);
  // Nothing is known about the agent's health until the next check.
  else await recordFailure(trx, row.agent_id, { error, health: 'unknown' });
}
