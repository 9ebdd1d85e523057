import type { Role } from '../../database/vocabulary.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { badge } from '../design/badge.ts';
import { type Column, type Table, table } from '../design/table.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { agentState, listActions } from '../parts.ts';

type Columns = Table<AgentJson>['columns'];
type Sort = NonNullable<Column<AgentJson>['sort']>;

/** Headings that sort, by the name of their column. */
export type Sorting = Partial<Record<'Agent' | 'User' | 'Age', Sort>>;

/**
 * Renders a table of agents, with what the role may do. `picks`: with a box to tick before each, for the form
 * with this id.
 */
export function agentsTable(
  agents: readonly AgentJson[],
  { role, sorting = {}, picks }: { role: Role; sorting?: Sorting; picks?: string | undefined },
): Html {
  return table({
    caption: 'Agents',
    columns: columns(sorting, role),
    rows: agents,
    before: picks === undefined ? undefined : pickColumn(picks),
  });
}

function columns(sorting: Sorting, role: Role): Columns {
  const sorted = (name: keyof Sorting) => (sorting[name] === undefined ? {} : { sort: sorting[name] });
  return [
    { name: 'Agent', cell: agentCell, ...sorted('Agent') },
    { name: 'State', cell: agentState },
    { name: 'Health', cell: healthCell },
    { name: 'User', cell: userCell, ...sorted('User') },
    { name: 'Server', cell: serverCell },
    { name: 'Tailnet', cell: ({ tailnetIp }) => tailnetIp ?? '–' },
    { name: 'Age', cell: ({ createdAt }) => when(createdAt), ...sorted('Age') },
    { name: 'Actions', cell: (agent) => listActions(agent, role) },
  ];
}

const agentCell = ({ agentId, plan, region }: AgentJson) =>
  html`<a href="/agents/${agentId}">${agentId}</a> <span class="muted">${plan}, ${region}</span>`;

const healthCell = ({ health, unhealthySince }: AgentJson) =>
  html`${badge(health)}${unhealthySince !== null && html` <span class="muted">since ${when(unhealthySince)}</span>`}`;

const userCell = ({ userId, subscriptionId }: AgentJson) =>
  html`${userId}${subscriptionId !== null && html` <span class="muted below cut" title="${subscriptionId}">${subscriptionId}</span>`}`;

const serverCell = ({ serverName, ipv4 }: AgentJson) =>
  html`${serverName ?? '–'}${ipv4 !== null && html` <span class="muted below">${ipv4}</span>`}`;

function pickColumn(form: string): Table<AgentJson>['before'] {
  return {
    heading: html`<input type="checkbox" id="pick-all" aria-label="Choose all on this page">`,
    cell: ({ agentId }) =>
      html`<input type="checkbox" id="pick-${agentId}" form="${form}" name="agentId" value="${agentId}" aria-label="Choose ${agentId}">`,
  };
}
