import { type Selectable, sql } from 'kysely';
import { DEFAULT_PROJECT } from '../../config/hetzner-projects.ts';
import type { Database } from '../../database/connect.ts';
import type { SweepPosition, SweepTable } from '../../database/reconcile-tables.ts';
import { jsonText } from '../../database/storable.ts';

/** The result of a sweep. */
export interface SweepReport {
  /** Number of API calls. */
  calls: number;
  /** How many resources were compared, and how many removed. */
  listed: number;
  removed: number;
  /** Sentences for people: what was removed, what could not be removed, what is unclear. */
  findings: string[];
  /** Why it is incomplete; null if it is complete. */
  note: string | null;
  /** Whether SSH keys were counted instead of listed since the cycle began. */
  omittedKeys: boolean;
  /** Where the next one continues; null: at the beginning. */
  next: SweepPosition | null;
}

/** The report of a sweep that has not begun. */
export function newReport(): SweepReport {
  return {
    calls: 0,
    listed: 0,
    removed: 0,
    findings: [],
    note: null,
    omittedKeys: false,
    next: null,
  };
}

export interface Sweep extends SweepReport {
  sweepId: number;
  startedAt: Date;
  /** Null while it runs, and forever if its process died. */
  finishedAt: Date | null;
}

const KEPT_DAYS = 7;

/** Records the start of a sweep, and deletes old ones. @returns its id. */
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
      omitted_keys: report.omittedKeys,
      next: report.next === null ? null : jsonText(report.next),
    })
    .where('sweep_id', '=', sweepId)
    .execute();
}

/** Reads the newest sweep. */
export async function lastSweep(database: Database): Promise<Sweep | undefined> {
  const row = await database
    .selectFrom('sweeps')
    .selectAll()
    .orderBy('sweep_id', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const { sweep_id, started_at, finished_at, omitted_keys, next, ...report } = row;
  return {
    sweepId: sweep_id,
    startedAt: started_at,
    finishedAt: finished_at,
    omittedKeys: omitted_keys,
    next: next && toPosition(next),
    ...report,
  };
}

/** Reads what an earlier version stored, which knew one project. */
function toPosition(next: NonNullable<Selectable<SweepTable>['next']>): SweepPosition {
  if ('projects' in next) return next;
  const { cycle, ...cursor } = next;
  return { projects: { [DEFAULT_PROJECT]: cursor }, cycle };
}

/** Whether a sweep began within the last `seconds`. */
export async function sweptWithin(database: Database, seconds: number): Promise<boolean> {
  const row = await database
    .selectFrom('sweeps')
    .select('sweep_id')
    .where('started_at', '>', sql<Date>`now() - make_interval(secs => ${seconds})`)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
