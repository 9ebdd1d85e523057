import { type Selectable, sql } from 'kysely';
import type { AgentSnapshotReason, AgentSnapshotTable } from '../database/agent-snapshot-tables.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError, InvalidInputError, NotFoundError } from '../errors.ts';

/** A row of the table of agents' snapshots. */
export type AgentSnapshotRow = Selectable<AgentSnapshotTable>;

/**
 * Records that this operation is about to make a snapshot, before Hetzner is asked for it; a later attempt
 * changes nothing. What an earlier operation of the agent has left half-made is given up: operations of an
 * agent take turns.
 */
export async function beginSnapshot(
  trx: Transaction,
  operationId: string,
  why: AgentSnapshotReason,
): Promise<void> {
  await sql`
    update agent_snapshots set status = 'removing', run_after = now() where status = 'making'
      and snapshot_id <> ${operationId}
      and agent_id = (select agent_id from operations where operation_id = ${operationId})`.execute(trx);
  await sql`
    insert into agent_snapshots (snapshot_id, agent_id, why, server_id, tailnet_node_id, secrets)
    select operation_id, agent_id, ${why}, server_id, tailnet_node_id, secrets
    from operations join agents using (agent_id) where operation_id = ${operationId}
    on conflict (snapshot_id) do nothing`.execute(trx);
}

/** A complete snapshot at Hetzner. */
export interface MadeSnapshot {
  hetznerId: string;
  sizeGb: number;
  serverId: string | null;
}

/** making → available. @throws ConflictError if it was given up meanwhile */
export async function completeSnapshot(
  trx: Transaction,
  snapshotId: string,
  { hetznerId, sizeGb, serverId }: MadeSnapshot,
): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('agent_snapshots')
    .set({ status: 'available', hetzner_id: hetznerId, size_gb: sizeGb, server_id: serverId, error: null })
    .where('snapshot_id', '=', snapshotId)
    .where('status', 'in', ['making', 'available'])
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new ConflictError(`Snapshot ${snapshotId} was given up meanwhile`);
}

/**
 * Records that the destroy is about to make a last snapshot of its agent, unless one is kept already.
 * @returns Hetzner's id of that one
 */
export async function beginLastSnapshot(
  trx: Transaction,
  { agentId, operationId }: { agentId: string; operationId: string },
): Promise<string | undefined> {
  const kept = await findLastSnapshot(trx, agentId);
  if (kept === undefined) await beginSnapshot(trx, operationId, 'before-destroy');
  return kept?.hetzner_id ?? undefined;
}

/** The snapshot that is kept beyond the agent's destroy. */
export function findLastSnapshot(database: Database, agentId: string): Promise<AgentSnapshotRow | undefined> {
  return database
    .selectFrom('agent_snapshots')
    .selectAll()
    .where((row) => row.and({ agent_id: agentId, why: 'before-destroy', status: 'available' }))
    .executeTakeFirst();
}

/** The ids of an agent's complete snapshots. */
export async function listCompleteIds(database: Database, agentId: string): Promise<string[]> {
  const rows = await database
    .selectFrom('agent_snapshots')
    .select('snapshot_id')
    .where((row) => row.and({ agent_id: agentId, status: 'available' }))
    .execute();
  return rows.map((row) => row.snapshot_id);
}

/** Hetzner's ids of an agent's snapshots that may be there. */
export async function listHetznerIds(database: Database, agentId: string): Promise<string[]> {
  const rows = await database
    .selectFrom('agent_snapshots')
    .select('hetzner_id')
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['making', 'available', 'removing'])
    .where('hetzner_id', 'is not', null)
    .execute();
  return rows.map((row) => row.hetzner_id!);
}

/** An agent's complete snapshot. */
export function findCompleteSnapshot(
  database: Database,
  { agentId, snapshotId }: { agentId: string; snapshotId: string },
): Promise<AgentSnapshotRow | undefined> {
  return database
    .selectFrom('agent_snapshots')
    .selectAll()
    .where((row) => row.and({ agent_id: agentId, snapshot_id: snapshotId, status: 'available' }))
    .executeTakeFirst();
}

/**
 * making → available, until so long after now. Of an agent that was being put back to a snapshot, that one is
 * kept in its place: it has a row already.
 * @throws InvalidInputError for another agent's snapshot: a runner may have reported a wrong id
 * @throws ConflictError if it was given up meanwhile
 */
export async function keepLastSnapshot(
  trx: Transaction,
  { operationId, agentId }: { operationId: string; agentId: string },
  { keptMs, ...made }: MadeSnapshot & { keptMs: number },
): Promise<void> {
  const known = await trx
    .selectFrom('agent_snapshots')
    .select(['snapshot_id', 'agent_id', 'status'])
    .where('hetzner_id', '=', made.hetznerId)
    .forUpdate()
    .executeTakeFirst();
  if (known !== undefined && known.agent_id !== agentId)
    throw new InvalidInputError(`Snapshot ${made.hetznerId} is not one of agent ${agentId}`);
  if (known !== undefined && known.status !== 'available')
    throw new ConflictError(`Snapshot ${made.hetznerId} is ${known.status}`);
  if (known === undefined) await completeSnapshot(trx, operationId, made);
  await trx
    .updateTable('agent_snapshots')
    .set({
      why: 'before-destroy',
      delete_after: sql`business_now() + make_interval(secs => ${keptMs / 1000})`,
    })
    .where('snapshot_id', '=', known?.snapshot_id ?? operationId)
    .execute();
}

/** An agent is destroyed: whatever it kept is removed, except what is kept until a time. */
export async function giveSnapshotsUp(trx: Transaction, agentId: string): Promise<void> {
  await trx
    .updateTable('agent_snapshots')
    .set({ status: 'removing', run_after: sql`now()`, tries: 0 })
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['making', 'available'])
    .where((row) => row.not(row.and({ why: 'before-destroy', status: 'available' })))
    .execute();
  // Nothing is restored for an agent that is gone.
  await trx.updateTable('agent_snapshots').set({ secrets: null }).where('agent_id', '=', agentId).execute();
}

/** A person has it removed. @throws NotFoundError, ConflictError */
export async function requestSnapshotRemoval(
  trx: Transaction,
  snapshotId: string,
): Promise<AgentSnapshotRow> {
  const row = await trx
    .selectFrom('agent_snapshots')
    .selectAll()
    .where('snapshot_id', '=', snapshotId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError(`There is no snapshot ${snapshotId}`);
  if (row.status !== 'available' && row.status !== 'removing')
    throw new ConflictError(`Snapshot ${snapshotId} is ${row.status}`);
  await refuseInUse(trx, row);
  return trx
    .updateTable('agent_snapshots')
    .set({ status: 'removing', run_after: sql`now()`, tries: 0 })
    .where('snapshot_id', '=', snapshotId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

/**
 * Whether an operation that is queued or under way needs snapshot `s`, in SQL: one that puts its agent back
 * to it. Its server is switched off before the snapshot is in its place.
 */
export const isWanted = sql<boolean>`exists (select from operations o where o.agent_id = s.agent_id
  and o.status in ('queued', 'active') and o.parameters->>'snapshot' = s.snapshot_id::text)`;

/** An agent that is being put back to it needs it. */
async function refuseInUse(trx: Transaction, row: AgentSnapshotRow): Promise<void> {
  const { hetzner_id: hetznerId, agent_id, snapshot_id: snapshotId } = row;
  const wanted = await trx
    .selectFrom('agent_snapshots as s')
    .select('s.snapshot_id')
    .where('s.snapshot_id', '=', snapshotId)
    .where(isWanted)
    .executeTakeFirst();
  const { snapshot_id: inUse } = await trx
    .selectFrom('agents')
    .select('snapshot_id')
    .where('agent_id', '=', agent_id)
    .executeTakeFirstOrThrow();
  if (wanted !== undefined || (inUse !== null && inUse === hetznerId))
    throw new ConflictError(`Agent ${agent_id} is being put back to this snapshot`);
}

/** Lists an agent's snapshots, the newest first: those that exist, and those that failed within a week. */
export function listSnapshots(database: Database, agentId: string): Promise<AgentSnapshotRow[]> {
  return database
    .selectFrom('agent_snapshots')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where(sql<boolean>`(ended_at is null or (error is not null and ended_at > now() - interval '7 days'))`)
    .orderBy('made_at', 'desc')
    .orderBy('snapshot_id')
    .limit(MOST_LISTED)
    .execute();
}

const MOST_LISTED = 1_000;
