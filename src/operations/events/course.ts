import type { Database } from '../../database/connect.ts';
import type { StoredEvent } from './events.ts';

/** A stretch of an operation: a step at work, or a wait. */
export interface Segment {
  step: string;
  attempt: number;
  start: Date;
  /** Null while it lasts. */
  end: Date | null;
  /** Nothing happens: it waits for a worker, or for the next try. */
  isWait: boolean;
  /** The try failed in this step. */
  hasFailed: boolean;
}

/** A try that failed or was lost. */
export interface FailedTry {
  attempt: number;
  at: Date;
  step: string | null;
  error: string;
  /** When the next try is due; null: there is none, or at once. */
  retryAt: Date | null;
}

/** Everything that happened to an operation, in order, to be drawn to scale. */
export interface Course {
  segments: readonly Segment[];
  failures: readonly FailedTry[];
  /** So many of its first events were left out. */
  omitted: number;
}

/** Thirteen tries have about a hundred; one that waits for stock may have more. */
const MOST_EVENTS = 400;
const WAITS = ['queued', 'waiting_to_retry'];

type CourseEvent = Pick<StoredEvent, 'attempt' | 'type' | 'data' | 'at'>;

/** Returns the course of an operation; of very many tries, that of the last ones. */
export async function readCourse(
  database: Database,
  operation: { operation_id: string; created_at: Date; finished_at: Date | null },
): Promise<Course> {
  const newestFirst = await database
    .selectFrom('operation_events')
    .select(['attempt', 'type', 'data', 'at', ({ fn }) => fn.countAll<number>().over().as('total')])
    .where('operation_id', '=', operation.operation_id)
    .where('type', 'in', ['step', 'status'])
    .orderBy('sequence', 'desc')
    .limit(MOST_EVENTS)
    .execute();
  const events = newestFirst.reverse();
  return toCourse(operation, events, Math.max(0, (events[0]?.total ?? 0) - events.length));
}

/** @param omitted how many events before these were left out. */
export function toCourse(
  operation: { created_at: Date; finished_at: Date | null },
  events: readonly CourseEvent[],
  omitted = 0,
): Course {
  const start = omitted > 0 ? (events[0]?.at ?? operation.created_at) : operation.created_at;
  const segments: Segment[] = [
    { step: 'queued', attempt: 0, start, end: null, isWait: true, hasFailed: false },
  ];
  const failures: FailedTry[] = [];
  for (const event of events) {
    if (event.type === 'step') enter(segments, event);
    else noteFailure(segments, failures, event);
  }
  const last = segments.at(-1);
  if (last !== undefined && last.end === null) last.end = operation.finished_at;
  return { segments, failures, omitted };
}

function enter(segments: Segment[], { attempt, data, at }: CourseEvent): void {
  const step = String(data.step);
  const last = segments.at(-1);
  if (last?.end === null && last.step === step && last.isWait) return;
  if (last?.end === null) last.end = at;
  if (step === 'finished') return;
  segments.push({ step, attempt, start: at, end: null, isWait: WAITS.includes(step), hasFailed: false });
}

function noteFailure(segments: Segment[], failures: FailedTry[], { attempt, data, at }: CourseEvent): void {
  if (typeof data.error !== 'string') return;
  failures.push({
    attempt,
    at,
    step: typeof data.failedStep === 'string' ? data.failedStep : null,
    error: data.error,
    retryAt: typeof data.retryAt === 'string' ? new Date(data.retryAt) : null,
  });
  const failed = segments.findLast((segment) => !segment.isWait && segment.attempt === attempt);
  if (failed !== undefined) failed.hasFailed = true;
}
