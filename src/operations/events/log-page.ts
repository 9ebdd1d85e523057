import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import type { StoredEvent } from './events.ts';
import { LEVEL_PATTERNS, type LogLevel, NOTABLE } from './log-levels.ts';

/** Which part of a log is wanted. Lines are numbered as the operation's events are. */
export type LogPosition =
  | { at: 'end' }
  /** What ends before, or begins after this line. */
  | { at: 'before' | 'after'; line: number }
  /** This line, with some before it. */
  | { at: 'line'; line: number };

/** A part of a log, oldest first, with the number of the log's last line. */
export interface LogWindow {
  events: StoredEvent[];
  last: number;
}

const LINES_BEFORE = 40;

/** Returns at most `limit` events of an operation: its log lines, steps and status changes. */
export async function readLogWindow(
  database: Database,
  { operationId, position, limit }: { operationId: string; position: LogPosition; limit: number },
): Promise<LogWindow> {
  const newest = await database
    .selectFrom('operation_events')
    .select(({ fn }) => fn.max('sequence').as('sequence'))
    .where('operation_id', '=', operationId)
    .executeTakeFirst();
  const last = newest?.sequence ?? 0;
  const { from, to } = rangeOf(position, { last, limit });
  const events = await database
    .selectFrom('operation_events')
    .select(['sequence', 'attempt', 'type', 'data', 'at'])
    .where('operation_id', '=', operationId)
    .where('sequence', '>=', from)
    .where('sequence', '<=', Math.min(to, last))
    .orderBy('sequence')
    .execute();
  return { events, last };
}

/** Sequence numbers have no gaps, so a page is a range of them. */
function rangeOf(
  position: LogPosition,
  { last, limit }: { last: number; limit: number },
): { from: number; to: number } {
  switch (position.at) {
    case 'end':
      return { from: last - limit + 1, to: last };
    case 'before':
      return { from: position.line - limit, to: position.line - 1 };
    case 'after':
      // Behind the end there is nothing to show but the end; a number may also be larger than a column's.
      if (position.line >= last) return rangeOf({ at: 'end' }, { last, limit });
      return { from: position.line + 1, to: position.line + limit };
    case 'line': {
      const from = Math.max(1, position.line - LINES_BEFORE);
      return { from, to: from + limit - 1 };
    }
  }
}

/** What is looked for in a log: a text, in any case, and how bad a line is at least. */
export interface LogSearch {
  text: string;
  level: LogLevel;
}

/** Returns the first lines that match, oldest first; one more than `limit` if there are more. */
export async function searchLog(
  database: Database,
  operationId: string,
  { text, level }: LogSearch,
  limit: number,
): Promise<StoredEvent[]> {
  return database
    .selectFrom('operation_events')
    .select(['sequence', 'attempt', 'type', 'data', 'at'])
    .where('operation_id', '=', operationId)
    .where('type', '=', 'log')
    .where(isAtLeast(level))
    .where(
      text === '' ? sql<boolean>`true` : sql<boolean>`position(lower(${text}) in lower(data ->> 'line')) > 0`,
    )
    .orderBy('sequence')
    .limit(limit + 1)
    .execute();
}

function isAtLeast(level: LogLevel): RawBuilder<boolean> {
  if (level === 'info') return sql<boolean>`true`;
  const { error, warning } = LEVEL_PATTERNS;
  const pattern = level === 'error' ? error : `${error}|${warning}`;
  return sql<boolean>`(${sql.raw(NOTABLE)} and (data ->> 'line') ~ ${pattern})`;
}
