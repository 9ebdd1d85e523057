import type { Database, Transaction } from '../../database/connect.ts';
import { CancelledError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { beginForGood, type IsStillWanted, needsLastCheck } from '../../operations/last-check.ts';
import { settleLocked } from '../../operations/settle.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Secret } from '../../secret.ts';
import { getStanding, lockFor, type Sender } from './attempts.ts';

export interface LastCheckDeps {
  database: Database;
  callbackSecret: Secret;
  /** Asks whether a destroy that the service wants is still wanted; without it none begins. */
  isStillWanted?: IsStillWanted | undefined;
}

export type LastCheck = 'none' | 'passed' | 'refused';

/**
 * Asks whether the sender's operation is still wanted, if that has to be asked. Outside the transaction that
 * begins it, because it asks Stripe.
 * @throws NotFoundError, ConflictError; RetryableError if it cannot be found out now: the runner asks again
 */
export async function askLastCheck(
  { database, callbackSecret, isStillWanted }: LastCheckDeps,
  sender: Sender,
): Promise<LastCheck> {
  const operation = await database.transaction().execute(async (trx) => {
    const row = await lockFor(trx, callbackSecret, sender);
    return (await awaitsLastCheck(trx, row)) ? row : undefined;
  });
  if (operation === undefined) return 'none';
  return (await isStillWanted?.(operation)) === true ? 'passed' : 'refused';
}

/** Whether an attempt that may report has to pass its last check first. */
export async function awaitsLastCheck(trx: Transaction, row: OperationRow): Promise<boolean> {
  return getStanding(row) !== 'over' && (await needsLastCheck(trx, row));
}

/**
 * Lets a begun attempt go on that needs no check or has passed it, and cancels any other.
 * @returns whether it may go on
 */
export async function passLastCheck(
  trx: Transaction,
  queue: Queue,
  { begun, check }: { begun: OperationRow; check: LastCheck },
): Promise<boolean> {
  // Unless a person has requested it meanwhile.
  if (!(await needsLastCheck(trx, begun))) return true;
  if (check === 'passed' && !begun.cancel_requested) {
    await beginForGood(trx, begun);
    return true;
  }
  const error = new CancelledError(UNWANTED);
  await settleLocked(trx, queue, begun, { error, step: 'preparing' });
  return false;
}

export const UNWANTED = 'The operation is no longer wanted';
