import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import type { Check } from './probe.ts';

/** A check, combined over all workers of the installation. */
export interface InstallationCheck extends Check {
  /** Whether operations wait for it: it fails at every worker. */
  blocks: boolean;
}

/** Records a worker's checks. The worker must be registered. */
export async function recordChecks(
  database: Database,
  workerId: string,
  checks: readonly InstallationCheck[],
): Promise<void> {
  if (checks.length === 0) return;
  await database
    .insertInto('checks')
    .values(checks.map((check) => ({ ...check, worker_id: workerId })))
    .onConflict((conflict) =>
      conflict.columns(['worker_id', 'name']).doUpdateSet({
        ok: sql`excluded.ok`,
        blocks: sql`excluded.blocks`,
        detail: sql`excluded.detail`,
        cure: sql`excluded.cure`,
        checked_at: sql`now()`,
        since: sql`case when checks.ok = excluded.ok then checks.since else now() end`,
      }),
    )
    .execute();
}

/** A worker that has been silent for this long no longer runs. */
const SILENT_SECONDS = 10;

/**
 * Returns the worst current result of each check over all running workers. With several workers, the detail
 * names the host.
 */
export async function readChecks(database: Database): Promise<InstallationCheck[]> {
  const { rows } = await sql<InstallationCheck>`
    with alive as (select * from workers where seen_at > now() - make_interval(secs => ${SILENT_SECONDS})),
    worst as (select distinct on (c.name) c.*, w.host from checks c join alive w using (worker_id)
      order by c.name, c.ok, c.checked_at desc)
    select name, ok, cure,
      case when ok or (select count(*) from alive) = 1 then detail else detail || ' (on ' || host || ')' end as detail,
      not ok and blocks and not exists (select 1 from checks c join alive using (worker_id)
        where c.name = worst.name and c.ok) as blocks
    from worst order by name`.execute(database);
  return rows;
}
