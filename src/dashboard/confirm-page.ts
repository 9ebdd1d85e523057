import type { AgentJson } from '../http/agents/agent-json.ts';
import { type Html, html } from './html.ts';
import { agentState } from './parts.ts';
import { capitalized } from './words.ts';

/** What needs a confirmation, since it cannot be undone. */
export const CONFIRMED = ['rebuild', 'destroy'] as const;
export type Confirmed = (typeof CONFIRMED)[number];

/** `/agents/{agentId}/{destroy,rebuild}`: says what will be lost, and asks. */
export function confirmPage(agent: AgentJson, kind: Confirmed): Html {
  const verb = capitalized(kind);
  return html`<h1>${verb} ${agent.agentId}?</h1>
<p>${agentState(agent)}</p>
<p>${consequences(agent, kind)}</p>
<form class="actions" method="post" action="/agents/${agent.agentId}/${kind}">
<button class="danger">${verb} ${agent.agentId}</button>
<a class="button" href="/agents/${agent.agentId}">Keep it</a>
</form>`;
}

function consequences({ agentId }: AgentJson, kind: Confirmed): Html {
  if (kind === 'rebuild')
    return html`Its disk is installed anew, and everything on it is lost. The server and its public addresses stay; its
tailnet address may change.`;
  return html`Its server, its keys, its tailnet device and its stack will be gone, with everything on them. An id is never used
again: an order for <strong>${agentId}</strong> that comes later will need attention.`;
}
