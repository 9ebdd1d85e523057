import type { RequestHandler, Router } from 'express';
import { actorOf } from '../http/actor.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import { findAgentJson } from '../http/agents/present-agents.ts';
import type { HttpDeps } from '../http/deps.ts';
import { requestAbandonment } from '../operations/abandon-adoption.ts';
import type { Guards } from './guards.ts';
import { type Html, html } from './html.ts';
import { agentCrumb, agentState } from './parts.ts';
import { form, parseAgentId, sendPage } from './requests.ts';

/**
 * Routes the page and the form with which an admin gives up what is left on a server that is given back after
 * an adoption that failed.
 */
export function addAbandonRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  const { database, queue } = deps;
  const ask: RequestHandler = async (request, response) => {
    const agent = await findAgentJson(database, parseAgentId(request.params.agentId));
    sendPage(response, deps, {
      title: `Abandon the server of ${agent.agentId}?`,
      main: abandonPage(agent),
      operator: true,
    });
  };
  const submit: RequestHandler = async (request, response) => {
    const agentId = parseAgentId(request.params.agentId);
    const wanted = { agentId, actor: actorOf(request, response) };
    await database.transaction().execute((trx) => requestAbandonment(trx, queue, wanted));
    response.redirect(303, `/agents/${agentId}`);
  };
  router.get('/agents/:agentId/abandon', least('admin'), ask);
  router.post('/agents/:agentId/abandon', least('admin'), form, submit);
}

function abandonPage(agent: AgentJson): Html {
  const { agentId } = agent;
  return html`${agentCrumb(agentId)}<h1>Abandon the server of ${agentId}?</h1>
<p>${agentState(agent)}</p>
<p>The next attempt to give the server back, which is due at once, tries once more to undo what was set there. Then it removes
the agent’s keys and its device all the same: afterwards only Hetzner’s console leads into the server.
Nothing of the server is deleted.</p>
<form class="fields" method="post" action="/agents/${agentId}/abandon">
<div class="actions"><button class="danger">Abandon the server of ${agentId}</button>
<a class="button" href="/agents/${agentId}">Cancel</a></div>
</form>`;
}
