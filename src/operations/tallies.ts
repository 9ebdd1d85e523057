import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';

/** Upper bounds of what may take a moment or half an hour, in seconds; the triggers of 0027 have the same. */
export const SHORT_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800];
/** The bounds of `provision_seconds`, which is older. */
export const LONG_BOUNDS = [10, 20, 30, 60, 90, 120, 180, 300, 600, 1200, 1800];

/** What is counted; see migration 0027 for their labels. */
export type TallyName =
  | 'agents'
  | 'operations'
  | 'stripe_events'
  | 'operation'
  | 'executing'
  | 'queue_wait'
  | 'provision'
  | 'running';

export interface Tally {
  labels: Record<string, string>;
  count: number;
  seconds: number;
}

/**
 * Reads the counts that triggers keep. A count's changes are rows of their own until a worker adds them up,
 * so that transactions never wait for each other; together they are exact at any time.
 */
export async function readTallies(database: Database): Promise<Map<TallyName, Tally[]>> {
  const { rows } = await sql<Tally & { tally: TallyName }>`
    select tally, labels, sum(count)::float8 as count, sum(seconds)::float8 as seconds
    from (select tally, labels, count, seconds from tallies
      union all select tally, labels, count, seconds from tally_changes) counted
    group by tally, labels having sum(count) <> 0 order by tally, labels`.execute(database);
  return Map.groupBy(rows, ({ tally }) => tally);
}

const FOLD_SECONDS = 15;
/** Bounds one statement; the rest follows at once. */
const MOST_CHANGES = 20_000;
/** Only one process adds up at a time; the number is arbitrary. */
const LOCK = 7_106_270;

/** Adds up changes until stopped. Every worker does this; a scrape reads what is left. */
export function startFolding({ database, log }: { database: Database; log: Log }): Repeating {
  return repeatEvery(FOLD_SECONDS, async () => {
    try {
      while ((await foldTallies(database)) === MOST_CHANGES);
    } catch (error) {
      const text = 'could not add up the counts for the metrics';
      log.warn({ event: 'tallies.fold_failed', error: errorMessage(error) }, text);
    }
  });
}

/**
 * Moves changes into their counts, in one statement: a process that is killed moves all of them or none.
 * @returns how many it moved
 */
export async function foldTallies(database: Database): Promise<number> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ free: boolean }>`
      select pg_try_advisory_xact_lock(${LOCK}) as free`.execute(trx);
    if (!rows[0]?.free) return 0;
    const moved = await sql<{ moved: number }>`
      with taken as (
        delete from tally_changes where id in (select id from tally_changes order by id limit ${MOST_CHANGES})
        returning tally, labels, count, seconds),
      summed as (
        insert into tallies as t
          select tally, labels, sum(count), sum(seconds) from taken group by tally, labels
        on conflict (tally, labels) do update
          set count = t.count + excluded.count, seconds = t.seconds + excluded.seconds)
      select count(*)::int as moved from taken`.execute(trx);
    return moved.rows[0]?.moved ?? 0;
  });
}
