import { findCompleteSnapshot, type MadeSnapshot } from '../../agents/snapshots.ts';
import type { SnapshotPolicy } from '../../config/snapshots.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import type { KnownSnapshot, LastSnapshot } from '../../operations/runbook-parts.ts';
import { beginLast, keepLast } from '../../operations/snapshot-parts.ts';

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

/** The snapshot of a job's agent, without the keys of then. */
export async function findForRunner(
  database: Database,
  { agent_id: agentId }: OperationRow,
  snapshotId: string,
): Promise<{ snapshot?: KnownSnapshot }> {
  const row = await findCompleteSnapshot(database, { agentId, snapshotId });
  if (row === undefined) return {};
  const { server_id: serverId, tailnet_node_id: tailnetNodeId } = row;
  return { snapshot: { hetznerId: row.hetzner_id!, serverId, tailnetNodeId } };
}
