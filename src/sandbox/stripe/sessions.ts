import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest, parseParameters } from './errors.ts';
import { emitEvent } from './events.ts';
import { listObjects, readObject, readWithHidden, saveObject } from './objects.ts';
import { changeMetadata, createdRange, metadataChange, pageParameters } from './parameters.ts';
import { createSession, type SessionHidden, sessionParameters } from './session-create.ts';
import { listOf, nowSeconds, type Session } from './wire.ts';

const listParameters = pageParameters.extend({
  created: createdRange,
  customer: z.string().optional(),
  subscription: z.string().optional(),
  status: z.enum(['open', 'complete', 'expired']).optional(),
});

export function mountSessions(endpoints: Endpoints): void {
  endpoints.post('/checkout/sessions', async (db, { input, baseUrl }) => {
    const session = await createSession(db, parseParameters(sessionParameters, input));
    return withUrl(await withLineItems(db, session), baseUrl);
  });
  endpoints.get('/checkout/sessions', async (db, { input, baseUrl }) => {
    const { created, customer, subscription, status, ...page } = parseParameters(listParameters, input);
    const filter = { customer, subscription, status };
    const { data, hasMore } = await listObjects<Session>(db, 'checkout.session', { filter, created, page });
    const sessions = data.map((session) => withUrl(session, baseUrl));
    return listOf('/v1/checkout/sessions', sessions, hasMore);
  });
  endpoints.get('/checkout/sessions/:id', async (db, { id, baseUrl }) => {
    const session = await readObject<Session>(db, 'checkout.session', id);
    return withUrl(await withLineItems(db, session), baseUrl);
  });
  endpoints.get('/checkout/sessions/:id/line_items', async (db, { id }) => {
    const { line_items } = await withLineItems(db, await readObject<Session>(db, 'checkout.session', id));
    return line_items!;
  });
  endpoints.post('/checkout/sessions/:id', async (db, { id, input, baseUrl }) => {
    const { metadata } = parseParameters(z.object({ metadata: metadataChange }), input);
    const session = await readObject<Session>(db, 'checkout.session', id, { lock: true });
    const changed = { ...session, metadata: changeMetadata(session.metadata ?? {}, metadata) };
    await saveObject(db, changed);
    return withUrl(changed, baseUrl);
  });
  endpoints.post('/checkout/sessions/:id/expire', async (db, { id, request }) => {
    const session = await readObject<Session>(db, 'checkout.session', id, { lock: true });
    if (session.status !== 'open')
      throw invalidRequest(`Only Checkout Sessions with a status in ["open"] can be expired.`);
    const expired: Session = { ...session, status: 'expired', expires_at: nowSeconds() };
    await saveObject(db, expired);
    await emitEvent(db, { type: 'checkout.session.expired', object: expired, request });
    return expired;
  });
}

/** The page's address holds this sandbox's port, which may be another one tomorrow: it is never stored. */
export function withUrl(session: Session, baseUrl: string): Session {
  return { ...session, url: session.status === 'open' ? `${baseUrl}/checkout/${session.id}` : null };
}

/** Line items are part of a session only where they are asked for. */
async function withLineItems(db: Queryable, session: Session): Promise<Session> {
  const { hidden } = await readWithHidden<Session, SessionHidden>(db, 'checkout.session', session.id);
  const url = `/v1/checkout/sessions/${session.id}/line_items`;
  return { ...session, line_items: listOf(url, hidden.lineItems) };
}
