import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { readSteps } from '../events/events.ts';
import { type Way, wayOfOperation } from '../ledger.ts';
import type { OperationRow } from '../rows.ts';

/** What a trace is made of: rows of one operation. */
export interface TraceRows {
  operation: OperationRow & { finished_at: Date };
  /** When Stripe's event was received; null without one. */
  receivedAt: Date | null;
  way: Way;
  agent: { project: string; location: string; plan: string };
  statuses: { status: string; attempt: number; at: Date }[];
  steps: { step: string; at: Date }[];
  spans: StoredSpan[];
}

export interface StoredSpan {
  id: number;
  attempt: number;
  kind: 'webhook' | 'callback' | 'run' | 'resource' | 'play' | 'task';
  name: string;
  startedAt: Date;
  endedAt: Date;
  outcome: 'success' | 'failure' | 'skip';
  attributes: Record<string, string | number>;
}

/** Reads the rows of an operation's trace; undefined unless it has ended. */
export async function readTraceRows(database: Database, operationId: string): Promise<TraceRows | undefined> {
  const row = await database
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .leftJoin('stripe_events as e', 'e.id', 'o.stripe_event_id')
    .selectAll('o')
    .select(['a.project', 'a.location', 'a.plan', 'e.received_at', wayOfOperation.as('way')])
    .where('o.operation_id', '=', operationId)
    .executeTakeFirst();
  if (row === undefined || row.finished_at === null) return undefined;
  const { project, location, plan, received_at: receivedAt, way, ...operation } = row;
  const [statuses, steps, spans] = await Promise.all([
    readStatuses(database, operationId),
    readSteps(database, operationId),
    readSpans(database, operationId),
  ]);
  return {
    operation: { ...operation, finished_at: row.finished_at },
    receivedAt,
    way,
    agent: { project, location, plan },
    statuses,
    steps,
    spans,
  };
}

async function readStatuses(database: Database, operationId: string): Promise<TraceRows['statuses']> {
  const { rows } = await sql<TraceRows['statuses'][number]>`
    select data->>'status' as status, attempt, at from operation_events
    where operation_id = ${operationId} and type = 'status' order by sequence`.execute(database);
  return rows;
}

/** More than a trace can show; the exporter sends them in one request. */
const MOST_SPANS = 4_000;

function readSpans(database: Database, operationId: string): Promise<StoredSpan[]> {
  return database
    .selectFrom('operation_spans')
    .select(['id', 'attempt', 'kind', 'name', 'started_at as startedAt', 'ended_at as endedAt'])
    .select(['outcome', 'attributes'])
    .where('operation_id', '=', operationId)
    .orderBy('started_at')
    .orderBy('id')
    .limit(MOST_SPANS)
    .execute();
}
