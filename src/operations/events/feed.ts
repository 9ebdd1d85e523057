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

/** Reads the events of all operations, starting about now. */
export interface Feed {
  /** New events of these operations since the last call, without log lines. `any`: of all operations. */
  next(operationIds: readonly string[] | 'any'): Promise<FeedEvent[]>;
}

/**
 * Transactions do not commit in the order of their ids, so an event may appear with an id below the newest.
 * The feed therefore tracks each operation's sequence numbers, which have no gaps, and rereads this many ids
 * to find operations that it missed.
 */
const LOOK_BACK_IDS = 1_000;
/** Of so many operations the feed remembers the position; then it forgets those without recent events. */
const MOST_REMEMBERED = 5_000;

export async function openFeed(database: Database, mostRemembered = MOST_REMEMBERED): Promise<Feed> {
  const opened = await newestId(database);
  let floor = opened - LOOK_BACK_IDS;
  const seen = await latestSequences(database, floor);
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
  /** A feed lives as long as somebody listens. What it forgets has no event that it would read again. */
  const forgetOld = async () => {
    floor = (await newestId(database)) - LOOK_BACK_IDS;
    const recent = await latestSequences(database, floor);
    for (const operationId of seen.keys()) if (!recent.has(operationId)) seen.delete(operationId);
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
      if (seen.size > mostRemembered) await forgetOld();
      return events;
    },
  };
}

/** Each operation's latest sequence number above `id`. Events up to it predate the feed and are not sent. */
async function latestSequences(database: Database, id: number): Promise<Map<string, number>> {
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

/** Events of these operations after a sequence number of each, without log lines; `floor`: ids above it. */
export async function readAfter(
  database: Database,
  positions: (readonly [operationId: string, afterSequence: number])[],
  floor = 0,
): Promise<FeedEvent[]> {
  if (positions.length === 0) return [];
  const { rows } = await sql<FeedEvent>`
    select e.type, e.data, e.operation_id as "operationId", o.agent_id as "agentId", o.kind, e.sequence, e.attempt, e.at
    from unnest(${positions.map(([id]) => id)}::uuid[], ${positions.map(([, after]) => after)}::int[]) as p (operation_id, after)
      join operation_events e on e.operation_id = p.operation_id and e.sequence > p.after
      join operations o on o.operation_id = e.operation_id
    where e.id > ${floor} and e.type <> 'log'
    order by e.id, e.sequence`.execute(database);
  return rows;
}
