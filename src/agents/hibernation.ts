import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { ConflictError, PermanentError } from '../errors.ts';
import { recordFailure } from './lifecycle.ts';
import { move } from './move.ts';
import { type AgentOutputs, outputColumns } from './outputs.ts';
import { getAgent } from './store.ts';

/**
 * Records the verified snapshot of a suspended agent, or of one that is to be reverted (`kind`), before its
 * server is deleted. From then on a hibernate can only end in `hibernated`, however it ends: the server may
 * be gone. Null forgets the recorded one.
 * @throws ConflictError if the agent is in another state, so that no server is deleted without the record
 * @throws PermanentError if the snapshot to revert to was given up meanwhile
 */
export async function recordSnapshot(
  trx: Transaction,
  agentId: string,
  snapshotId: string | null,
  kind = 'hibernate',
): Promise<void> {
  const reverted = kind === 'revert' ? (['running', 'stopped'] as const) : [];
  const { numUpdatedRows } = await trx
    .updateTable('agents')
    .set({ snapshot_id: snapshotId, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['suspended', 'hibernated', ...reverted])
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new ConflictError(`Agent ${agentId} can no longer be hibernated`);
  if (kind === 'revert') await assertAvailable(trx, agentId, snapshotId);
}

/**
 * Locks the snapshot's row until the record is committed: what removes snapshots holds the same lock, and
 * sees afterwards whose place it has taken.
 * @throws PermanentError
 */
async function assertAvailable(trx: Transaction, agentId: string, snapshotId: string | null): Promise<void> {
  const row = await trx
    .selectFrom('agent_snapshots')
    .select('status')
    .where('agent_id', '=', agentId)
    .where('hetzner_id', '=', snapshotId)
    .forUpdate()
    .executeTakeFirst();
  if (row?.status === 'available') return;
  throw new PermanentError(
    `Snapshot ${snapshotId} of agent ${agentId} is ${row?.status ?? 'not known'} by now: its server was not deleted`,
  );
}

interface Hibernated {
  snapshotId: string;
  error?: string | null;
  by?: 'hibernate succeeds' | 'revert succeeds';
}

/**
 * The snapshot is kept in place of the server: `suspended` → `hibernated`. The tailnet device stays.
 * @throws ConflictError
 */
export async function markHibernated(
  trx: Transaction,
  agentId: string,
  { snapshotId, error = null, by = 'hibernate succeeds' }: Hibernated,
): Promise<void> {
  const gone = { server_id: null, server_name: null, ipv4: null, ipv6: null };
  const columns = { ...gone, snapshot_id: snapshotId, health: 'unknown', error };
  await move(trx, agentId, { by, orStays: true }, columns);
  // After a failure the server may still exist, and hold what is newer than these.
  const left =
    error === null ? sql`'{}'::jsonb` : sql`(coalesce(inputs->'hibernated', '{}'::jsonb) - 'joinGeneration')`;
  await trx
    .updateTable('agents')
    .set({
      inputs: sql`inputs || jsonb_build_object('hibernated', ${left} || jsonb_build_object('snapshotId', snapshot_id))`,
    })
    .where('agent_id', '=', agentId)
    .execute();
}

/**
 * A hibernate has ended without success. An agent whose snapshot was recorded is `hibernated`, because its
 * server may be gone; any other stays as it is. Both keep the error.
 * @returns whether the agent is hibernated
 */
export async function endHibernation(trx: Transaction, agentId: string, error: string): Promise<boolean> {
  const { status, snapshot_id: snapshotId } = await getAgent(trx, agentId);
  if (status !== 'suspended' && status !== 'hibernated') return false;
  if (snapshotId !== null) {
    await markHibernated(trx, agentId, { snapshotId, error });
    return true;
  }
  await trx
    .updateTable('agents')
    .set({ error, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
  return false;
}

/** Its server is deleted, and the snapshot to which it is put back is in its place. @throws ConflictError */
export const markReverted = (trx: Transaction, agentId: string, given: Omit<Hibernated, 'by'>) =>
  markHibernated(trx, agentId, { ...given, by: 'revert succeeds' });

/**
 * A revert has ended without success. An agent whose snapshot was recorded is `hibernated`, because its
 * server may be gone; any other stays as it is, perhaps switched off.
 */
export async function endReversion(
  trx: Transaction,
  agentId: string,
  { error, step }: { error: string; step?: string | undefined },
): Promise<void> {
  const { status, snapshot_id: snapshotId } = await getAgent(trx, agentId);
  if (!['running', 'stopped', 'hibernated'].includes(status)) return;
  if (snapshotId !== null) return markReverted(trx, agentId, { snapshotId, error });
  await recordFailure(trx, agentId, { error, health: step === 'preparing' ? 'unknown' : 'unhealthy' });
}

/**
 * The agent answers again on a server made from its snapshot, which is deleted: `hibernated` → `running`.
 * @throws ConflictError
 */
export async function markWoken(trx: Transaction, agentId: string, outputs: AgentOutputs): Promise<void> {
  const columns = { ...outputColumns(outputs), snapshot_id: null, health: 'healthy', error: null };
  await move(trx, agentId, { by: 'wake succeeds' }, columns);
  await trx
    .updateTable('agents')
    .set({ inputs: sql`inputs - 'hibernated'` })
    .where('agent_id', '=', agentId)
    .execute();
}
