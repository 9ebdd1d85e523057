import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { jsonText } from '../../database/storable.ts';
import type { SweepCursor } from '../../database/tables.ts';

/** What came of a sweep. */
export interface SweepReport {
  /** API calls. */
  calls: number;
  /** What was compared, and how many of each kind were removed. */
  listed: number;
  removed: number;
  /** Sentences for a person: what was removed, what could not be, what nobody knows. */
  findings: string[];
  /** Why it ended before its end; null where it did not. */
  note: string | null;
  /** Where the next one goes on; null: at the beginning. */
  next: SweepCursor | null;
}

export interface Sweep extends SweepReport {
  sweepId: number;
  startedAt: Date;
  /** Null while it runs, and for good where its process died. */
  finishedAt: Date | null;
}

const KEPT_DAYS = 7;

/** Writes down that a sweep begins, and forgets old ones. @returns its id. */
export async function beginSweep(database: Database): Promise<number> {
  await database
    .deleteFrom('sweeps')
    .where('started_at', '<', sql<Date>`now() - make_interval(days => ${KEPT_DAYS})`)
    .execute();
  const row = await database
    .insertInto('sweeps')
    .defaultValues()
    .returning('sweep_id')
    .executeTakeFirstOrThrow();
  return row.sweep_id;
}

export async function finishSweep(database: Database, sweepId: number, report: SweepReport): Promise<void> {
  await database
    .updateTable('sweeps')
    .set({
      finished_at: sql`now()`,
      calls: report.calls,
      listed: report.listed,
      removed: report.removed,
      findings: jsonText(report.findings),
      note: report.note,
      next: report.next === null ? null : jsonText(report.next),
    })
    .where('sweep_id', '=', sweepId)
    .execute();
}

/** The newest sweep, for people and for the next one. */
export async function lastSweep(database: Database): Promise<Sweep | undefined> {
  const row = await database
    .selectFrom('sweeps')
    .selectAll()
    .orderBy('sweep_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { sweep_id, started_at, finished_at, ...report } = row;
  return { sweepId: sweep_id, startedAt: started_at, finishedAt: finished_at, ...report };
}

/** Whether a sweep has begun within the last so many seconds. */
export async function sweptWithin(database: Database, seconds: number): Promise<boolean> {
  const row = await database
    .selectFrom('sweeps')
    .select('sweep_id')
    .where('started_at', '>', sql<Date>`now() - make_interval(secs => ${seconds})`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
