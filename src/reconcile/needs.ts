import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { AttentionClass } from '../database/vocabulary.ts';
import { ATTENTION } from './attention.ts';

/** What needs a person for one cause, however many agents it concerns. */
export interface NeedGroup {
  class: AttentionClass;
  /** Names the newest item among those of its class, such as a breaker or a check. */
  key: string;
  /** Of the newest item. */
  cause: string;
  cure: string;
  count: number;
  /** The oldest and the newest item's time. */
  since: Date;
  last: Date;
  /** Some of the agents, the newest first. */
  agentIds: string[];
}

const AGENTS_NAMED = 5;
/** Long enough to tell causes apart; the rest is mostly ids. */
const COMPARED_LENGTH = 160;

/**
 * Returns what needs a person, grouped by cause: first what stops everything, then what concerns most agents.
 * Causes that differ only in numbers or in the agent's id are one.
 */
export async function listNeeds(database: Database, limit: number): Promise<NeedGroup[]> {
  const { rows } = await sql<NeedGroup>`
    select class, cure, count(*)::int as count, min(since) as since, max(since) as last,
      (array_agg(key order by since desc, key))[1] as key, (array_agg(cause order by since desc, key))[1] as cause,
      coalesce((array_agg("agentId" order by since desc, key)
        filter (where "agentId" is not null))[1:${sql.lit(AGENTS_NAMED)}], '{}') as "agentIds"
    from (${ATTENTION}) items
    group by class, cure, case when class in ('breaker', 'configuration') then key else
      translate(replace(left(cause, ${COMPARED_LENGTH}), coalesce("agentId", key), ''), '0123456789', '') end
    order by array_position(${ORDER}::text[], class), count(*) desc, max(since) desc limit ${limit}`.execute(
    database,
  );
  return rows;
}

/** What stops everything comes first. */
const ORDER: AttentionClass[] = [
  'configuration',
  'breaker',
  'order',
  'failed',
  'unhealthy',
  'proposal',
  'mismatch',
];
