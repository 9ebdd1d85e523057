import { endDrill } from '../../agents/drills.ts';
import { recordSnapshot } from '../../agents/hibernation.ts';
import { findCompleteSnapshot, type MadeSnapshot } from '../../agents/snapshots.ts';
import type { SnapshotPolicy } from '../../config/snapshots.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { InvalidInputError, PermanentError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import type { KnownSnapshot, LastSnapshot } from '../../operations/runbook-parts.ts';
import { beginLast, keepLast } from '../../operations/snapshot-parts.ts';

/**
 * Answers a runner's destroy whether a last snapshot is wanted, and ends the agent's restore drill; or
 * records the complete one.
 * @throws InvalidInputError for any other operation, or another agent's snapshot; ConflictError
 */
export async function recordLastSnapshot(
  trx: Transaction,
  policy: SnapshotPolicy | undefined,
  row: OperationRow,
  made: MadeSnapshot | undefined,
): Promise<LastSnapshot> {
  if (row.kind !== 'destroy') throw new InvalidInputError('only a destroy keeps a last snapshot');
  const drillId = made === undefined ? await endDrill(trx, row.agent_id) : undefined;
  const ended = drillId !== undefined && { drillId };
  if (policy === undefined) return { isWanted: false, ...ended };
  if (made === undefined) return { ...(await beginLast(trx, policy, row)), ...ended };
  await keepLast(trx, policy, { ...row, made });
  return { isWanted: true, keptId: made.hetznerId };
}

/**
 * Records the snapshot that takes the place of the agent's server.
 * @throws InvalidInputError if it was given up meanwhile, which ends the runner's attempt; ConflictError
 */
export async function recordInPlace(
  trx: Transaction,
  { agent_id: agentId, kind }: OperationRow,
  snapshotId: string | null,
): Promise<void> {
  refuseForeignSnapshot(kind, snapshotId);
  try {
    await recordSnapshot(trx, agentId, snapshotId, kind);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    throw new InvalidInputError(error.message, { cause: error });
  }
}

/** A wake that must replace its server records the new snapshot, and never forgets one. */
function refuseForeignSnapshot(kind: OperationRow['kind'], snapshotId: string | null): void {
  if (kind === 'hibernate' || ((kind === 'wake' || kind === 'revert') && snapshotId !== null)) return;
  throw new InvalidInputError(
    kind === 'wake' || kind === 'revert'
      ? `a ${kind} forgets no snapshot`
      : 'only a hibernate or a wake records a snapshot',
  );
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
