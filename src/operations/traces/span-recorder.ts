import type { Database } from '../../database/connect.ts';
import type { ReportedSpan, ReportSpan } from '../../telemetry/span.ts';
import { recordSpans } from './record-spans.ts';

export interface SpanRecorder {
  report: ReportSpan;
  /** Writes what is still buffered. Never throws. */
  close(): Promise<void>;
}

const BATCH_MS = 500;
/** More than any attempt has; what a broken reporter adds is dropped. */
const MOST_SPANS = 2_000;

/**
 * Stores an attempt's spans in batches. It is no part of the attempt's own writes: a span that cannot be
 * stored is lost, and the attempt goes on.
 */
export function createSpanRecorder(
  database: Database,
  attempt: { operationId: string; attempt: number },
): SpanRecorder {
  let held: ReportedSpan[] = [];
  let taken = 0;
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const spans = held;
    held = [];
    writing = writing.then(() => recordSpans(database, attempt, spans)).catch(() => {});
  };
  return {
    report: (span) => {
      taken += 1;
      if (taken > MOST_SPANS) return;
      held.push(span);
      timer ??= setTimeout(flush, BATCH_MS);
    },
    close: () => {
      flush();
      return writing;
    },
  };
}
