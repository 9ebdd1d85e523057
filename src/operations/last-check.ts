import { audit } from '../agents/audit.ts';
import { getAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { CancelledError } from '../errors.ts';
import { findOperation } from './registry.ts';
import type { OperationRow } from './rows.ts';

/**
 * Asks once more whether an operation that the service itself wanted is still wanted.
 * @throws RetryableError if that cannot be found out now: the operation has to wait
 */
export type IsStillWanted = (operation: OperationRow) => Promise<boolean>;

/** Whether an operation has to pass its last check, because it has not changed its agent yet. */
export async function needsLastCheck(
  database: Database,
  { asks_again: asksAgain, agent_id: agentId }: Pick<OperationRow, 'asks_again' | 'agent_id'>,
): Promise<boolean> {
  return asksAgain && (await getAgent(database, agentId)).status !== 'destroying';
}

/**
 * Begins what cannot be undone, after the last check. The caller has locked the agent and its operation.
 * @throws CancelledError if it was withdrawn meanwhile
 */
export async function beginForGood(trx: Transaction, operation: OperationRow): Promise<void> {
  const { agent_id: agentId, operation_id: operationId, kind } = operation;
  if (operation.cancel_requested) throw new CancelledError('Cancelled');
  await findOperation(kind)?.request?.(trx, agentId, operationId);
  await audit(trx, {
    actor: 'service',
    action: 'operation.confirm',
    agentId,
    operationId,
    details: { kind },
  });
}
