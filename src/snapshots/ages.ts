import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

export interface SnapshotAges {
  /**
   * Seconds since the newest snapshot of the agent whose newest is oldest, among those that the schedule has;
   * of one that has none yet, since the first was begun. Null: the schedule has none.
   */
  oldest: number | null;
  /** Seconds since a restore drill last succeeded. */
  drill: number | null;
  /** How the last drill ended. */
  hasPassed: boolean | null;
}

export async function readSnapshotAges(database: Database): Promise<SnapshotAges> {
  const { rows } = await sql<SnapshotAges>`
    select
      (select extract(epoch from max(business_now() - newest))::float8 from (
        select coalesce(max(made_at) filter (where s.status = 'available'), min(made_at)) as newest
        from agent_snapshots s join agents a using (agent_id) where a.status in ('running', 'stopped')
        group by agent_id having bool_or(why = 'scheduled')) each) as oldest,
      (select extract(epoch from now() - max(finished_at))::float8 from snapshot_drills
        where status = 'succeeded') as drill,
      (select status = 'succeeded' from snapshot_drills where status in ('succeeded', 'failed')
        order by finished_at desc limit 1) as "hasPassed"`.execute(database);
  return rows[0]!;
}
