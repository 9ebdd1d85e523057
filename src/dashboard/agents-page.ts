import type { OrderRow } from '../billing/orders.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { BreakerState } from '../limits/listing.ts';
import type { InstallationCheck } from '../reconcile/checks/store.ts';
import { breakerBanner } from './attention-page.ts';
import { badge } from './design/badge.ts';
import { when } from './design/when.ts';
import { type Html, html } from './html.ts';
import { agentActions, agentState } from './parts.ts';
import { capitalized } from './words.ts';

export interface AgentsPage {
  agents: AgentJson[];
  nextCursor: string | null;
  attention: OrderRow[];
  /** The breakers that hold changes back. */
  tripped: readonly BreakerState[];
  checkoutUrl?: string | undefined;
  /** Missing API keys. Without them the service neither sweeps the clouds nor checks the agents' health. */
  missingKeys?: readonly string[] | undefined;
  /** Failed checks of the workers' configuration. */
  problems: readonly InstallationCheck[];
}

/** Renders `/`: all agents, newest first, and everything that needs a person. */
export function agentsPage({
  agents,
  nextCursor,
  attention,
  tripped,
  checkoutUrl,
  missingKeys = [],
  problems,
}: AgentsPage): Html {
  return html`<div class="title"><h1>Agents</h1>
${checkoutUrl !== undefined && html`<a class="button" href="${checkoutUrl}">Buy one in the sandbox’s checkout</a>`}</div>
${
  missingKeys.length > 0 &&
  html`<p class="notice"><strong>The clouds are not monitored.</strong> Without ${missingKeys.join(' and ')}, orphaned
    resources are not removed, and agents’ health is not checked between operations.</p>`
}
<div id="breakers" data-live>${tripped.map(breakerBanner)}</div>
<div id="problems" data-live>${problems.length > 0 && problemList(problems)}</div>
<div id="attention" data-live>${attention.length > 0 && attentionList(attention)}</div>
<div id="agents" data-live>
${agents.length === 0 ? html`<p>No agents yet.</p>` : agentsTable(agents)}
</div>
${nextCursor !== null && html`<p><a href="/?cursor=${nextCursor}">Older agents</a></p>`}`;
}

function agentsTable(agents: AgentJson[]): Html {
  return html`<table>
<caption class="visually-hidden">Agents, newest first</caption>
<thead><tr><th scope="col">Agent</th><th scope="col">State</th><th scope="col">Health</th><th scope="col">Server</th>
<th scope="col">Tailnet</th><th scope="col">Age</th><th scope="col">Actions</th></tr></thead>
<tbody>${agents.map(agentRow)}</tbody>
</table>`;
}

function agentRow(agent: AgentJson): Html {
  return html`<tr>
<th scope="row"><a href="/agents/${agent.agentId}">${agent.agentId}</a>
<span class="muted">${agent.plan}, ${agent.region}</span></th>
<td data-label="State">${agentState(agent)}</td>
<td data-label="Health">${badge(agent.health)}${
    agent.unhealthySince !== null && html` <span class="muted">since ${when(agent.unhealthySince)}</span>`
  }</td>
<td data-label="Server">${agent.serverName ?? '–'}${agent.ipv4 && html` <span class="muted">${agent.ipv4}</span>`}</td>
<td data-label="Tailnet">${agent.tailnetIp ?? '–'}</td>
<td data-label="Age">${when(agent.createdAt)}</td>
<td data-label="Actions">${agentActions(agent, 'list')}</td>
</tr>`;
}

function problemList(problems: readonly InstallationCheck[]): Html {
  const title = problems.some(({ blocks }) => blocks)
    ? 'Orders are on hold until this is fixed'
    : 'Configuration problems';
  return html`<section class="problem" aria-labelledby="problems-title">
<h2 id="problems-title">${title}</h2>
<ul>${problems.map(
    ({ name, detail, cure }) =>
      html`<li><strong>${capitalized(name)}</strong>: ${detail}${cure !== null && html`<br>${cure}`}</li>`,
  )}</ul></section>`;
}

function attentionList(orders: OrderRow[]): Html {
  return html`<section class="problem" aria-labelledby="attention-title">
<h2 id="attention-title">Paid orders without an agent</h2>
<ul>${orders.map(
    (order) => html`<li><code>${order.session_id}</code> ${order.attention}
<span class="muted">${when(order.created_at.toISOString())}</span></li>`,
  )}</ul></section>`;
}
