import type { Request, Response, Router } from 'express';
import { z } from 'zod';
import { NotFoundError } from '../errors.ts';
import { actorOf } from '../http/actor.ts';
import type { HttpDeps } from '../http/deps.ts';
import { approveProposal, rejectProposal } from '../operations/proposals.ts';
import type { Guards } from './guards.ts';
import { form } from './requests.ts';

const proposalId = z.guid();

/** Routes the forms with which a person decides on proposals. */
export function addProposalRoutes(router: Router, { database, queue }: HttpDeps, { person }: Guards): void {
  router.post(
    '/attention/proposals/:proposalId/approve',
    person('operator'),
    form,
    async (request: Request, response: Response) => {
      const decision = { proposalId: parseProposalId(request), actor: actorOf(request, response) };
      const operation = await database.transaction().execute((trx) => approveProposal(trx, queue, decision));
      response.redirect(303, `/agents/${operation.agent_id}`);
    },
  );
  router.post(
    '/attention/proposals/:proposalId/reject',
    person('operator'),
    form,
    async (request: Request, response: Response) => {
      const decision = { proposalId: parseProposalId(request), actor: actorOf(request, response) };
      await database.transaction().execute((trx) => rejectProposal(trx, decision));
      response.redirect(303, '/attention');
    },
  );
}

/** @throws NotFoundError for a text that is no id */
function parseProposalId(request: Request): string {
  const parsed = proposalId.safeParse(request.params.proposalId);
  if (!parsed.success) throw new NotFoundError('Page not found');
  return parsed.data;
}
