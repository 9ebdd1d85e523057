import { REGIONS } from '../../agents/regions.ts';
import { AGENT_STATUSES, HEALTHS } from '../../agents/states.ts';
import type { Role } from '../../database/vocabulary.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { emptyState } from '../design/banner.ts';
import { type Html, html } from '../html.ts';
import { capitalized } from '../words.ts';
import { agentsTable, type Sorting } from './agents-table.ts';
import { bulkKinds } from './bulk.ts';
import { type AgentsQuery, agentsAddress, isFiltered } from './query.ts';

export interface AgentsPage {
  query: AgentsQuery;
  agents: readonly AgentJson[];
  /** How many match, on all pages. */
  total: number;
  nextCursor: string | null;
  checkoutUrl?: string | undefined;
  /** Whose page it is. */
  role: Role;
}

/**
 * Renders `/agents`: the agents that match a search and filters, in pages, with what can be done to several.
 */
export function agentsPage(page: AgentsPage): Html {
  const { query, agents, total, nextCursor, role } = page;
  const kinds = bulkKinds(role);
  return html`<div class="title"><h1>Agents</h1>
${page.checkoutUrl !== undefined && html`<a class="button" href="${page.checkoutUrl}">Buy one in the sandbox’s checkout</a>`}</div>
${filterForm(query)}
<div id="agents" data-live>
<p class="muted" id="found" role="status">${foundWords(total, isFiltered(query))}</p>
${agents.length === 0 ? nothingFound(page) : agentsTable(agents, { role, sorting: sortingBy(query), picks: kinds.length > 0 ? 'bulk' : undefined })}
<p class="actions">${query.cursor !== undefined && html`<a class="button" href="${agentsAddress(query)}">First page</a>`}${
    nextCursor !== null &&
    html`<a class="button" href="${agentsAddress(query, { cursor: nextCursor })}">Next page</a>`
  }</p>
</div>
${kinds.length > 0 && bulkForm(kinds)}`;
}

function foundWords(total: number, filtered: boolean): string {
  const agents = total === 1 ? '1 agent' : `${total.toLocaleString('en')} agents`;
  return filtered ? `${agents} ${total === 1 ? 'matches' : 'match'}` : agents;
}

function nothingFound({ query, checkoutUrl }: AgentsPage): Html {
  if (isFiltered(query) || query.cursor !== undefined)
    return emptyState(
      'No agent matches',
      'The search looks through ids, users, addresses, servers, subscriptions, regions and plans.',
      html`<a class="button primary" href="/agents">Show all agents</a>`,
    );
  return emptyState(
    'No agents yet.',
    'A paid checkout makes one, and so does npm run agents -- create.',
    checkoutUrl !== undefined &&
      html`<a class="button primary" href="${checkoutUrl}">Buy one in the sandbox’s checkout</a>`,
  );
}

type Choice = readonly [value: string, text: string];

function filterForm(query: AgentsQuery): Html {
  const states = AGENT_STATUSES.map((status): Choice => [status, capitalized(status)]);
  return html`<search><form class="filters" id="filters" action="/agents">
<label class="search">Search <input id="search" type="search" name="q" value="${query.q}" maxlength="200"
 placeholder="Id, user, address, server, subscription" autocomplete="off" aria-keyshortcuts="/"></label>
${choice('State', 'status', query.status, [['present', 'All but destroyed'], ...states])}
${choice(
  'Health',
  'health',
  query.health,
  HEALTHS.map((health): Choice => [health, capitalized(health)]),
)}
${choice(
  'Region',
  'region',
  query.region,
  REGIONS.map((region): Choice => [region, region]),
)}
${choice('Holds', 'held', query.held, [
  ['yes', 'Held'],
  ['no', 'Not held'],
])}
${choice('Order', 'order', query.order === 'newest' ? undefined : query.order, ORDERS, 'Newest first')}
<button>Search</button>
</form></search>`;
}

const ORDERS: readonly Choice[] = [
  ['oldest', 'Oldest first'],
  ['id', 'By id'],
  ['user', 'By user'],
];

function choice(
  label: string,
  name: string,
  chosen: string | undefined,
  choices: readonly Choice[],
  without = 'Any',
): Html {
  return html`<label>${label} <select name="${name}"><option value="">${without}</option>${choices.map(
    ([value, text]) => html`<option value="${value}"${value === chosen && html` selected`}>${text}</option>`,
  )}</select></label>
`;
}

function sortingBy(query: AgentsQuery): Sorting {
  const { order } = query;
  const href = (to: AgentsQuery['order']) => agentsAddress(query, { order: to });
  return {
    Agent: { href: href('id'), now: order === 'id' ? 'ascending' : undefined },
    User: { href: href('user'), now: order === 'user' ? 'ascending' : undefined },
    // The newest has the lowest age.
    Age: {
      href: href(order === 'newest' ? 'oldest' : 'newest'),
      now: order === 'newest' ? 'ascending' : order === 'oldest' ? 'descending' : undefined,
    },
  };
}

/** The boxes in the table belong to this form. */
function bulkForm(kinds: readonly string[]): Html {
  return html`<form class="bulk" id="bulk" action="/bulk">
<label>With those ticked: <select name="kind" required><option value="">Choose…</option>${kinds.map((kind) => html`<option value="${kind}">${capitalized(kind)}</option>`)}</select></label>
<button>Continue…</button> <span class="muted" id="ticked"></span>
</form>`;
}
