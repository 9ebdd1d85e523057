import type { MadeSnapshot } from '../../agents/snapshots.ts';
import type { SnapshotPolicy } from '../../config/snapshots.ts';
import type { Transaction } from '../../database/connect.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { beginLast, keepLast } from '../../operations/last-snapshots.ts';
import type { LastSnapshot } from '../../operations/runbook-parts.ts';

/**
 * Answers a runner's destroy whether a last snapshot is wanted, or records the complete one.
 * @throws InvalidInputError for any other operation; ConflictError
 */
export async function recordLastSnapshot(
  trx: Transaction,
  policy: SnapshotPolicy | undefined,
  row: OperationRow,
  made: MadeSnapshot | undefined,
): Promise<LastSnapshot> {
  if (row.kind !== 'destroy') throw new InvalidInputError('only a destroy keeps a last snapshot');
  if (policy === undefined) return { isWanted: false };
  if (made === undefined) return beginLast(trx, policy, row);
  await keepLast(trx, policy, { ...row, made });
  return { isWanted: true, keptId: made.hetznerId };
}
