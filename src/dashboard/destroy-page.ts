import type { AgentJson } from '../http/agents/agent-json.ts';
import { type Html, html } from './html.ts';
import { agentState } from './parts.ts';

/** `/agents/{agentId}/destroy`: asks once more, for there is no way back. */
export function destroyPage(agent: AgentJson): Html {
  return html`<h1>Destroy ${agent.agentId}?</h1>
<p>${agentState(agent)}</p>
<p>Its server, its keys, its place on the tailnet and its stack will be gone, with everything on them. An id is never used
again: an order for <strong>${agent.agentId}</strong> that comes later will need attention.</p>
<form class="actions" method="post" action="/agents/${agent.agentId}/destroy">
<button class="danger">Destroy ${agent.agentId}</button>
<a class="button" href="/agents/${agent.agentId}">Keep it</a>
</form>`;
}
