import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import type { Check } from './probe.ts';

/** A check as the installation's workers see it together. */
export interface InstallationCheck extends Check {
  /** Whether operations wait for it: it is not well at any worker. */
  blocks: boolean;
}

/** Writes down what a worker has found; the worker is registered. */
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
      }),
    )
    .execute();
}

/** A worker that was silent for so long does not run any more. */
const SILENT_SECONDS = 10;

/**
 * What the workers that run have last found: of each check the worst, which says at which host where there
 * are several.
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
