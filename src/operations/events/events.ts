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
 * the operation's row, so that the numbers have no gaps and follow the order of commits. `isQuiet`: wakes
 * nobody, because a notification takes a database-wide lock and another one follows at once.
 */
export async function appendEvents(
  trx: Transaction,
  operationId: string,
  attempt: number,
  events: OperationEvent[],
  { isQuiet = false }: { isQuiet?: boolean } = {},
): Promise<void> {
  if (events.length === 0) return;
  const last = await trx
    .selectFrom('operation_events')
    .select(({ fn }) => fn.max('sequence').as('sequence'))
    .where('operation_id', '=', operationId)
    .executeTakeFirst();
  const base = last?.sequence ?? 0;
  await trx
    .insertInto('operation_events')
    .values(
      events.map((event, index) => ({
        operation_id: operationId,
        sequence: base + index + 1,
        attempt,
        type: event.type,
        data: jsonText(event.data),
        at: sql<Date>`clock_timestamp()`,
      })),
    )
    .execute();
  if (!isQuiet) await sql`select pg_notify(${EVENTS_CHANNEL}, ${operationId})`.execute(trx);
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
