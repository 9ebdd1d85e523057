import { sql } from 'kysely';
import { KEPT_STATUSES } from '../../agents/states.ts';
import type { Database } from '../../database/connect.ts';

/** An SSH key costs nothing and opens nothing without its other half, so one too many may wait so long. */
const LISTED_EVERY_HOURS = 24;

/**
 * Whether `total` SSH keys are as many as the rows of the Hetzner project account for, and all were listed
 * within a day. Owners with an operation in progress may have one or none.
 */
export async function isExpectedKeyCount(
  database: Database,
  project: string,
  total: number,
): Promise<boolean> {
  const { rows } = await sql<{ least: number; most: number; listed: boolean }>`
    with kept as (
      select (select count(*) from agents where project = ${project} and status = any(${[...KEPT_STATUSES]}::text[]))
        + (select count(*) from slots where project = ${project} and status = 'ready') as owners),
    changing as (
      select (select count(distinct o.agent_id) from operations o join agents a using (agent_id)
          where a.project = ${project} and o.status in ('queued', 'active'))
        + (select count(*) from slots where project = ${project} and status in ('making', 'claimed', 'removing'))
        + (select count(*) from images where project = ${project} and status in ('building', 'removing')) as owners)
    select kept.owners::float8 as least, (kept.owners + changing.owners)::float8 as most,
      exists (select 1 from sweeps where not omitted_keys and finished_at is not null and next is null
        and note is null and started_at > now() - make_interval(hours => ${LISTED_EVERY_HOURS})) as listed
    from kept, changing`.execute(database);
  const { least, most, listed } = rows[0]!;
  return listed && total >= least && total <= most;
}
