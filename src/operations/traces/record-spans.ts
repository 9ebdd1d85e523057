import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { cutText, jsonText } from '../../database/storable.ts';
import type { ReportedSpan } from '../../telemetry/span.ts';

const LONGEST_NAME = 200;

/**
 * Stores spans of an attempt; attempt 0: outside of any. Their times become the database's: all parts of a
 * trace then lie on one clock, whichever machines reported them.
 */
export async function recordSpans(
  database: Database,
  { operationId, attempt }: { operationId: string; attempt: number },
  spans: readonly ReportedSpan[],
): Promise<void> {
  if (spans.length === 0) return;
  const now = Date.now();
  const ago = (time: number) =>
    sql<Date>`statement_timestamp() - make_interval(secs => ${Math.max(0, now - time) / 1000})`;
  await database
    .insertInto('operation_spans')
    .values(
      spans.map(({ kind, name, startedAt, endedAt, outcome, attributes = {} }) => ({
        operation_id: operationId,
        attempt,
        kind,
        name: cutText(name, LONGEST_NAME) || kind,
        started_at: ago(Math.min(startedAt, endedAt)),
        ended_at: ago(endedAt),
        outcome,
        attributes: jsonText(attributes),
      })),
    )
    .execute();
}
