import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import type { OperationKind } from '../states.ts';

export interface FeedEvent {
  type: 'status' | 'step';
  data: Record<string, unknown>;
  operationId: string;
  agentId: string;
  kind: OperationKind;
  sequence: number;
  attempt: number;
  at: Date;
}

/** A reader of what all operations tell, from about now on. */
export interface Feed {
  /**
   * What these operations have told since the last look, without log lines; `any` looks at all that may have
   * told something.
   */
  next(operationIds: readonly string[] | 'any'): Promise<FeedEvent[]>;
}

/**
 * Transactions commit in another order than they take ids, so an id alone is no place in the feed: an event
 * may appear below it. Each operation's own numbers have no such gaps. This many ids are looked back over to
 * find operations that were missed.
 */
const LOOK_BACK_IDS = 1_000;

export async function openFeed(database: Database): Promise<Feed> {
  const opened = await newestId(database);
  const floor = opened - LOOK_BACK_IDS;
  const seen = await toldAbove(database, floor);
  let looked = opened;

  const touchedSince = async (id: number) => {
    const rows = await database
      .selectFrom('operation_events')
      .select('operation_id')
      .distinct()
      .where('id', '>', id - LOOK_BACK_IDS)
      .execute();
    return rows.map((row) => row.operation_id);
  };
  return {
    next: async (wanted) => {
      const newest = wanted === 'any' ? await newestId(database) : looked;
      const operationIds = wanted === 'any' ? await touchedSince(looked) : wanted;
      const events = await readAfter(
        database,
        operationIds.map((operationId) => [operationId, seen.get(operationId) ?? 0]),
        floor,
      );
      for (const { operationId, sequence } of events) seen.set(operationId, sequence);
      looked = newest;
      return events;
    },
  };
}

/**
 * How far each operation had come among the ids that are looked back over: that was told before, and is no
 * news.
 */
async function toldAbove(database: Database, id: number): Promise<Map<string, number>> {
  const rows = await database
    .selectFrom('operation_events')
    .select(({ fn }) => ['operation_id', fn.max('sequence').as('sequence')])
    .where('id', '>', id)
    .groupBy('operation_id')
    .execute();
  return new Map(rows.map(({ operation_id, sequence }) => [operation_id, sequence]));
}

async function newestId(database: Database): Promise<number> {
  const row = await database
    .selectFrom('operation_events')
    .select(({ fn }) => fn.max('id').as('id'))
    .executeTakeFirst();
  return row?.id ?? 0;
}

async function readAfter(
  database: Database,
  places: (readonly [operationId: string, afterSequence: number])[],
  floor: number,
): Promise<FeedEvent[]> {
  if (places.length === 0) return [];
  const { rows } = await sql<FeedEvent>`
    select e.type, e.data, e.operation_id as "operationId", o.agent_id as "agentId", o.kind, e.sequence, e.attempt, e.at
    from unnest(${places.map(([id]) => id)}::uuid[], ${places.map(([, after]) => after)}::int[]) as p (operation_id, after)
      join operation_events e on e.operation_id = p.operation_id and e.sequence > p.after
      join operations o on o.operation_id = e.operation_id
    where e.id > ${floor} and e.type <> 'log'
    order by e.id, e.sequence`.execute(database);
  return rows;
}
