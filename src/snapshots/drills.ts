import { randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import type { SnapshotDrillTable } from '../database/agent-snapshot-tables.ts';
import { type Database, type Transaction, violatedConstraint } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import { ConflictError } from '../errors.ts';
import { isAway } from '../projects/placement.ts';

export type DrillRow = Selectable<SnapshotDrillTable>;

const LONGEST_ERROR = 8_000;

/**
 * Begins a drill with the agent's newest snapshot.
 * @throws ConflictError if it has none or is being destroyed, or another drill is under way
 */
export async function startDrill(
  database: Database,
  { agentId, cause }: { agentId: string; cause: DrillRow['cause'] },
): Promise<DrillRow> {
  try {
    const drillId = `drill-${randomBytes(8).toString('hex')}`;
    const { rows } = await sql<DrillRow>`
      insert into snapshot_drills (drill_id, agent_id, snapshot_id, cause)
      select ${drillId}, agent_id, s.snapshot_id, ${cause} from agent_snapshots s join agents a using (agent_id)
      where agent_id = ${agentId} and s.status = 'available' and a.status not in ('destroying', 'destroyed')
      order by made_at desc limit 1 for share of a returning *`.execute(database);
    if (rows[0] === undefined)
      throw new ConflictError(`Agent ${agentId} has no complete snapshot, or is destroyed`);
    return rows[0];
  } catch (error) {
    if (violatedConstraint(error) !== 'snapshot_drills_running') throw error;
    throw new ConflictError('Another drill is under way');
  }
}

/** Begins the drill that is due, if one is: the agent's in reach that had none for longest. */
export async function startDueDrill(database: Database, everyMs: number | undefined): Promise<void> {
  if (everyMs === undefined) return;
  const { rows } = await sql<{ agentId: string }>`
    select a.agent_id as "agentId" from agents a join agent_snapshots s using (agent_id)
      left join snapshot_drills d using (agent_id)
    where s.status = 'available' and a.status in ('running', 'stopped')
      and not exists (select from hetzner_projects p where p.name = a.project and (p.rank is null or ${isAway}))
      and not exists (select from snapshot_drills where started_at > now() - make_interval(secs => ${everyMs / 1000}))
    group by a.agent_id order by max(d.started_at) nulls first, max(s.made_at) desc limit 1`.execute(
    database,
  );
  if (rows[0] === undefined) return;
  await startDrill(database, { agentId: rows[0].agentId, cause: 'schedule' }).catch((error: unknown) => {
    if (!(error instanceof ConflictError)) throw error;
  });
}

/** The drill that runs, locked; undefined if there is none, or another worker has it. */
export function takeRunning(trx: Transaction): Promise<DrillRow | undefined> {
  return trx
    .selectFrom('snapshot_drills')
    .selectAll()
    .where('status', '=', 'running')
    .forUpdate()
    .skipLocked()
    .executeTakeFirst();
}

export async function changeDrill(
  trx: Transaction,
  { drill_id: drillId }: DrillRow,
  columns: Partial<Pick<DrillRow, 'server_id' | 'firewall_id' | 'ran_at' | 'passed' | 'error'>>,
): Promise<void> {
  const error = columns.error ?? undefined;
  await trx
    .updateTable('snapshot_drills')
    .set({ ...columns, ...(error !== undefined && { error: cutText(error, LONGEST_ERROR) }) })
    .where('drill_id', '=', drillId)
    .execute();
}

/** Its server is gone. */
export async function finishDrill(trx: Transaction, drill: DrillRow): Promise<void> {
  const { drill_id: drillId, passed, cancelled } = drill;
  const verdict = passed === true ? 'succeeded' : 'failed';
  await trx
    .updateTable('snapshot_drills')
    .set({ status: cancelled ? 'cancelled' : verdict, finished_at: sql`now()` })
    .where('drill_id', '=', drillId)
    .execute();
}

/** A drill, and when the disk that it showed was made. */
export type DrillState = DrillRow & { made_at: Date };

/** The newest drills. */
export function listDrills(database: Database, limit: number): Promise<DrillState[]> {
  return database
    .selectFrom('snapshot_drills as d')
    .innerJoin('agent_snapshots as s', 's.snapshot_id', 'd.snapshot_id')
    .selectAll('d')
    .select('s.made_at')
    .orderBy('d.started_at', 'desc')
    .limit(limit)
    .execute();
}
