import type { Database } from '../../database/connect.ts';
import { CancelledError } from '../../errors.ts';
import { type Claim, lockClaim, type OperationRow } from '../../operations/claims.ts';
import { beginForGood, type IsStillWanted, needsLastCheck } from '../../operations/last-check.ts';

/**
 * Lets an operation that cannot be undone begin only if it is still wanted. A kill before the commit leaves
 * the agent as it is, and the next attempt asks again.
 * @throws CancelledError if it is no longer wanted; RetryableError if that cannot be found out now
 */
export async function passLastCheck(
  { database, isStillWanted }: { database: Database; isStillWanted?: IsStillWanted | undefined },
  operation: OperationRow,
  claim: Claim,
): Promise<void> {
  if (!(await needsLastCheck(database, operation))) return;
  // Without a way to ask, nothing is removed.
  const [answer] = await Promise.allSettled([isStillWanted?.(operation) ?? false]);
  await database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    // A person has requested it meanwhile.
    if (!(await needsLastCheck(trx, row))) return;
    if (answer.status === 'rejected') throw answer.reason;
    if (!answer.value) throw new CancelledError(`The ${operation.kind} is no longer wanted`);
    await beginForGood(trx, row);
  });
}
