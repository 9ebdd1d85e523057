import { z } from 'zod';
import { AGENT_ORDERS, type AgentFilter } from '../../agents/search.ts';
import { AGENT_STATUSES, HEALTHS } from '../../agents/states.ts';
import { searchText } from '../../http/search-text.ts';

/** The list's address: filters, order and page. What is unknown or too long counts as not given. */
const querySchema = z.object({
  q: searchText.catch(''),
  status: z
    .enum(['present', ...AGENT_STATUSES])
    .optional()
    .catch(undefined),
  health: z.enum(HEALTHS).optional().catch(undefined),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .optional()
    .catch(undefined),
  held: z.enum(['yes', 'no']).optional().catch(undefined),
  order: z.enum(AGENT_ORDERS).catch('newest'),
  cursor: z.string().max(500).optional().catch(undefined),
});

export type AgentsQuery = z.infer<typeof querySchema>;

export function readAgentsQuery(query: unknown): AgentsQuery {
  return querySchema.parse(query);
}

export function toFilter({ q, status, health, region, held }: AgentsQuery): AgentFilter {
  return { text: q, status, health, region, held: held === undefined ? undefined : held === 'yes' };
}

/** Whether anything is filtered out. */
export function isFiltered({ q, status, health, region, held }: AgentsQuery): boolean {
  return [q || undefined, status, health, region, held].some((value) => value !== undefined);
}

/** The address of the list with some of its parts changed; without a cursor unless one is given. */
export function agentsAddress(query: AgentsQuery, changes: Partial<AgentsQuery> = {}): string {
  const { order, ...wanted } = { ...query, cursor: undefined, ...changes };
  const parts = Object.entries({ ...wanted, order: order === 'newest' ? undefined : order });
  const given = parts.flatMap(([name, value]) => (value ? [[name, value] as [string, string]] : []));
  return given.length === 0 ? '/agents' : `/agents?${new URLSearchParams(given)}`;
}
