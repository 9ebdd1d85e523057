import { sql } from 'kysely';
import type { Database, Transaction } from '../../database/connect.ts';
import { jsonText } from '../../database/storable.ts';

/** What happened to an operation. Events are stored in order, so that subscribers can replay them. */
export type OperationEvent =
  | {
      type: 'status';
      data: {
        status: string;
        attempt: number;
        error?: string | undefined;
        failedStep?: string | undefined;
        retryAt?: string | undefined;
      };
    }
  | { type: 'step'; data: { step: string } }
  | { type: 'log'; data: { line: string; stream?: 'engine' | 'service' } };

export const EVENTS_CHANNEL = 'operation_events';

/**
 * Appends events with the next sequence numbers and wakes listeners at commit. The caller must have locked
 * the operation's row, so that the numbers have no gaps and follow the order of commits.
 */
export function appendEvents(
  trx: Transaction,
  operationId: string,
  attempt: number,
  events: readonly OperationEvent[],
): Promise<void> {
  return appendAllEvents(trx, [{ operationId, attempt, events }]);
}

/** New events of an operation's attempt. */
export interface NewEvents {
  operationId: string;
  attempt: number;
  events: readonly OperationEvent[];
}

/**
 * Like appendEvents, for several operations with one statement. `isQuiet`: wakes nobody, because a
 * notification takes a database-wide lock and another one follows at once.
 */
export async function appendAllEvents(
  trx: Transaction,
  appended: readonly NewEvents[],
  { isQuiet = false }: { isQuiet?: boolean } = {},
): Promise<void> {
  const rows = appended.flatMap(({ operationId, attempt, events }) =>
    events.map(({ type, data }, index) => ({
      operationId,
      attempt,
      n: index + 1,
      type,
      data: jsonText(data),
    })),
  );
  if (rows.length === 0) return;
  const column = (name: keyof (typeof rows)[number]) => rows.map((row) => row[name]);
  const told = sql`select pg_notify(${EVENTS_CHANNEL}, id) from (
    select distinct operation_id::text as id from appended) told`;
  await sql`with appended as (
      insert into operation_events (operation_id, sequence, attempt, type, data, at)
      select e.operation_id, e.n + coalesce((select max(sequence) from operation_events earlier
          where earlier.operation_id = e.operation_id), 0), e.attempt, e.type, e.data, clock_timestamp()
      from unnest(${column('operationId')}::uuid[], ${column('n')}::int[], ${column('attempt')}::int[],
        ${column('type')}::text[], ${column('data')}::jsonb[])
        with ordinality as e (operation_id, n, attempt, type, data, position)
      order by e.position returning operation_id)
    ${isQuiet ? sql`select 1` : told}`.execute(trx);
}

/** Appends the events of an attempt that is queued again: the reason, the step and the status. */
export function appendQueuedAgain(
  trx: Transaction,
  { operationId, attempt }: { operationId: string; attempt: number },
  { line, error }: { line: string; error?: string },
): Promise<void> {
  return appendEvents(trx, operationId, attempt, [
    { type: 'log', data: { line, stream: 'service' } },
    { type: 'step', data: { step: 'queued' } },
    { type: 'status', data: { status: 'queued', attempt, ...(error !== undefined && { error }) } },
  ]);
}

export interface StoredEvent {
  sequence: number;
  attempt: number;
  type: OperationEvent['type'];
  data: Record<string, unknown>;
  at: Date;
}

/** Events after `afterSequence`, oldest first, at most `limit`. */
export async function readEvents(
  database: Database,
  operationId: string,
  afterSequence: number,
  limit = 500,
): Promise<StoredEvent[]> {
  return database
    .selectFrom('operation_events')
    .select(['sequence', 'attempt', 'type', 'data', 'at'])
    .where('operation_id', '=', operationId)
    .where('sequence', '>', afterSequence)
    .orderBy('sequence')
    .limit(limit)
    .execute();
}

export interface TimelineEntry {
  step: string;
  startedAt: Date;
  /** Null while the step is in progress. */
  seconds: number | null;
}

/**
 * The steps of an operation with their durations. They span the time from its creation to its end, so the
 * durations add up to the total.
 */
export function timeline(
  operation: { created_at: Date; finished_at: Date | null },
  steps: { step: string; at: Date }[],
): TimelineEntry[] {
  // The last step event is written just after `finished_at`.
  const end = operation.finished_at?.getTime() ?? Number.POSITIVE_INFINITY;
  const recorded = steps.map(({ step, at }) => ({ step, at: at.getTime() > end ? new Date(end) : at }));
  const starts = [{ step: 'queued', at: operation.created_at }, ...recorded];
  const merged = starts.filter(({ step }, index) => index === 0 || step !== starts[index - 1]?.step);
  return merged.map((start, index) => {
    const next = merged[index + 1]?.at ?? operation.finished_at;
    const seconds =
      next === null || next === undefined
        ? null
        : Math.max(0, Math.round(next.getTime() - start.at.getTime()) / 1000);
    return { step: start.step, startedAt: start.at, seconds };
  });
}

/** The step events of an operation, for its timeline. */
export async function readSteps(
  database: Database,
  operationId: string,
): Promise<{ step: string; at: Date }[]> {
  const rows = await database
    .selectFrom('operation_events')
    .select(['data', 'at'])
    .where('operation_id', '=', operationId)
    .where('type', '=', 'step')
    .orderBy('sequence')
    .execute();
  return rows.map((row) => ({ step: String(row.data.step), at: row.at }));
}
