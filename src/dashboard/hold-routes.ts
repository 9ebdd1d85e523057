import type { RequestHandler, Router } from 'express';
import { actorOf } from '../http/actor.ts';
import { holdFields, releaseFields } from '../http/agents/change-holds.ts';
import { findAgentJson } from '../http/agents/present-agents.ts';
import { businessNow, type HttpDeps } from '../http/deps.ts';
import { read } from '../http/endpoint.ts';
import { requestHold, requestRelease, setProtection } from '../operations/hold-requests.ts';
import type { Guards } from './guards.ts';
import { holdPage } from './holds.ts';
import { form, parseAgentId, sendPage } from './requests.ts';

interface Asked {
  agentId: string;
  /** The form's fields. */
  body: unknown;
  actor: string;
}

/** Routes the page and the forms with which an operator holds, releases, protects and unprotects an agent. */
export function addHoldRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  const { database, queue } = deps;
  const ask: RequestHandler = async (request, response) => {
    const agent = await findAgentJson(database, parseAgentId(request.params.agentId));
    sendPage(response, deps, { title: `Hold ${agent.agentId}?`, main: holdPage(agent), operator: true });
  };
  const change = (verb: string, run: (asked: Asked) => Promise<unknown>): void => {
    const submit: RequestHandler = async (request, response) => {
      const agentId = parseAgentId(request.params.agentId);
      await run({ agentId, body: request.body ?? {}, actor: actorOf(request, response) });
      response.redirect(303, `/agents/${agentId}`);
    };
    router.post(`/agents/:agentId/${verb}`, least('operator'), form, submit);
  };
  router.get('/agents/:agentId/hold', least('operator'), ask);
  change('hold', ({ agentId, body, actor }) => {
    const wanted = { agentId, ...read(holdFields, body, 'form')!, actor, at: businessNow(deps) };
    return database.transaction().execute((trx) => requestHold(trx, queue, wanted));
  });
  change('release', ({ agentId, body, actor }) => {
    const { followsPayments } = deps;
    const wanted = { agentId, ...read(releaseFields, body, 'form')!, actor, followsPayments };
    return database.transaction().execute((trx) => requestRelease(trx, queue, wanted));
  });
  for (const [verb, isProtected] of [
    ['protect', true],
    ['unprotect', false],
  ] as const)
    change(verb, ({ agentId, actor }) =>
      database.transaction().execute((trx) => setProtection(trx, { agentId, isProtected, actor })),
    );
}
