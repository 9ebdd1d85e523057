import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { AgentStatus, Health } from './states.ts';
import { type AgentRow, toAgentRow } from './store.ts';

export const AGENT_ORDERS = ['newest', 'oldest', 'id', 'user'] as const;
export type AgentOrder = (typeof AGENT_ORDERS)[number];

export interface AgentFilter {
  /** Part of an id, user, address, server, subscription, region or plan. */
  text?: string | undefined;
  /** `present`: all but destroyed. */
  status?: AgentStatus | 'present' | undefined;
  health?: Health | undefined;
  region?: string | undefined;
  /** Whether there is a hold on it. */
  held?: boolean | undefined;
}

/**
 * Returns a page of the agents that match, and how many match in all. `after`: the last id of the page
 * before.
 */
export async function searchAgents(
  database: Database,
  filter: AgentFilter,
  page: { order: AgentOrder; after?: string | undefined; limit: number },
): Promise<{ rows: AgentRow[]; total: number }> {
  const matches = conditions(filter);
  const { ordering, isAfter } = ORDERINGS[page.order];
  // The ids come from an index alone; only the page's own rows are read.
  const [ids, total] = await Promise.all([
    sql<{ agentId: string }>`
      select agent_id as "agentId" from agents a
      where ${matches} and ${page.after === undefined ? sql`true` : isAfter(page.after)}
      order by ${ordering} limit ${page.limit}`.execute(database),
    sql<{ count: number }>`select count(*) as count from agents a where ${matches}`.execute(database),
  ]);
  const rows = await readAgentRows(
    database,
    ids.rows.map(({ agentId }) => agentId),
  );
  return { rows, total: total.rows[0]?.count ?? 0 };
}

function conditions({ text, status, health, region, held }: AgentFilter): RawBuilder<boolean> {
  const all: RawBuilder<unknown>[] = [sql`true`];
  for (const word of text?.trim().toLowerCase().split(/\s+/) ?? [])
    if (word !== '') all.push(sql`a.search like ${`%${word.replace(/[\\%_]/g, '\\$&')}%`}`);
  if (status === 'present') all.push(sql`a.status <> 'destroyed'`);
  else if (status !== undefined) all.push(sql`a.status = ${status}`);
  if (health !== undefined) all.push(sql`a.health = ${health}`);
  if (region !== undefined) all.push(sql`a.region = ${region}`);
  if (held !== undefined)
    all.push(sql`${held ? sql`` : sql`not`} exists (select 1 from holds h where h.agent_id = a.agent_id)`);
  return sql<boolean>`${sql.join(all, sql` and `)}`;
}

interface Ordering {
  ordering: RawBuilder<unknown>;
  /** Whether an agent comes after that one, in the database's own precision. */
  isAfter: (agentId: string) => RawBuilder<boolean>;
}

const createdOf = (agentId: string) => sql`(select created_at from agents where agent_id = ${agentId})`;

const ORDERINGS: Record<AgentOrder, Ordering> = {
  newest: {
    ordering: sql`a.created_at desc, a.agent_id`,
    isAfter: (agentId) =>
      sql<boolean>`(a.created_at <= ${createdOf(agentId)} and (a.created_at < ${createdOf(agentId)} or a.agent_id > ${agentId}))`,
  },
  oldest: {
    ordering: sql`a.created_at, a.agent_id desc`,
    isAfter: (agentId) =>
      sql<boolean>`(a.created_at >= ${createdOf(agentId)} and (a.created_at > ${createdOf(agentId)} or a.agent_id < ${agentId}))`,
  },
  id: { ordering: sql`a.agent_id`, isAfter: (agentId) => sql<boolean>`a.agent_id > ${agentId}` },
  user: {
    ordering: sql`a.user_id, a.agent_id`,
    isAfter: (agentId) =>
      sql<boolean>`(a.user_id, a.agent_id) > ((select user_id from agents where agent_id = ${agentId}), ${agentId})`,
  },
};

/** Returns the rows of these agents in the given order, without those that there are not. */
export async function readAgentRows(database: Database, agentIds: readonly string[]): Promise<AgentRow[]> {
  if (agentIds.length === 0) return [];
  const rows = await database
    .selectFrom('agents')
    .selectAll()
    .where('agent_id', 'in', [...agentIds])
    .execute();
  const byId = new Map(rows.map((row) => [row.agent_id, toAgentRow(row)]));
  return agentIds.flatMap((agentId) => byId.get(agentId) ?? []);
}
