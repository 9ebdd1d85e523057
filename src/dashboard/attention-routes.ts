import type { RequestHandler, Router } from 'express';
import { z } from 'zod';
import { BREAKERS } from '../database/vocabulary.ts';
import { NotFoundError } from '../errors.ts';
import { actorOf } from '../http/actor.ts';
import { businessNow, type HttpDeps } from '../http/deps.ts';
import { read } from '../http/endpoint.ts';
import { attentionCursors } from '../http/limits/attention.ts';
import { approveBreaker } from '../limits/approve.ts';
import { listBreakers, listHeldChanges } from '../limits/listing.ts';
import { listProposals } from '../operations/proposals.ts';
import { hasRole } from '../people/roles.ts';
import { listAttention } from '../reconcile/attention.ts';
import { attentionPage } from './attention-page.ts';
import { type Guards, roleOnPage } from './guards.ts';
import { form, sendPage } from './requests.ts';

const ITEMS_PER_PAGE = 50;
const HELD_SHOWN = 20;
const PROPOSALS_SHOWN = 100;

const approval = z.strictObject({
  // A field that was left empty.
  count: z.preprocess(
    (value) => (value === '' ? undefined : value),
    z.coerce
      .number({ error: 'must be a whole number' })
      .int('must be a whole number')
      .min(1, 'must be at least 1')
      .max(1_000_000, 'must be at most 1000000')
      .optional(),
  ),
});

/** Routes the page of everything that needs a person, and the forms that approve a breaker's changes. */
export function addAttentionRoutes(router: Router, deps: HttpDeps, { least }: Guards): void {
  router.get('/attention', least('viewer'), showAttention(deps));
  router.post('/attention/breakers/:name/approve', least('operator'), form, approve(deps));
}

function showAttention(deps: HttpDeps): RequestHandler {
  const { database } = deps;
  return async (request, response) => {
    const { cursor } = request.query;
    const after = attentionCursors.read(typeof cursor === 'string' ? cursor : undefined);
    const [rows, breakers, proposals] = await Promise.all([
      listAttention(database, { after, limit: ITEMS_PER_PAGE + 1 }),
      listBreakers(database, businessNow(deps)),
      listProposals(database, { onlyOpen: true, limit: PROPOSALS_SHOWN }),
    ]);
    const { page, nextCursor } = attentionCursors.split(rows, ITEMS_PER_PAGE, (last) => last.position);
    const tripped = await Promise.all(
      breakers
        .filter(({ trippedAt }) => trippedAt !== null)
        .map(async (breaker) => ({
          breaker,
          held: await listHeldChanges(database, { breaker: breaker.name, limit: HELD_SHOWN }),
        })),
    );
    const main = attentionPage({
      items: page,
      nextCursor,
      tripped,
      proposals,
      mayDecide: hasRole(roleOnPage(response), 'operator'),
    });
    sendPage(response, deps, { title: 'Attention', main, operator: true, place: 'attention' });
  };
}

function approve(deps: HttpDeps): RequestHandler {
  return async (request, response) => {
    const name = BREAKERS.find((one) => one === request.params.name);
    if (name === undefined) throw new NotFoundError('Page not found');
    const count = read(approval, request.body ?? {}, 'form')?.count;
    const wanted = { name, count, actor: actorOf(request, response), at: businessNow(deps) };
    await deps.database.transaction().execute((trx) => approveBreaker(trx, wanted));
    response.redirect(303, '/attention');
  };
}
