import { z } from 'zod';
import type { Queryable } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { readObject, readWithHidden, saveObject } from './objects.ts';
import { changeMetadata, metadataChange, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { createSession, type SessionHidden, sessionParameters } from './session-create.ts';
import { listOf, nowSeconds, type Session } from './wire.ts';

export const sessions: Resource<Session> = {
  object: 'checkout.session',
  path: '/checkout/sessions',
  filters: {
    customer: equals(text, 'customer'),
    payment_intent: equals(text, 'payment_intent'),
    status: equals(z.enum(['open', 'complete', 'expired']), 'status'),
    subscription: equals(text, 'subscription'),
  },
  expandable: {
    customer: 'customer',
    invoice: 'invoice',
    line_items: 'item[]',
    payment_intent: 'payment_intent',
    payment_link: 'payment_link',
    setup_intent: 'setup_intent',
    subscription: 'subscription',
  },
  includes: { line_items: (db, session) => lineItemsOf(db, session.id) },
  present: withUrl,
};

const one = 'checkout.session';

export function mountSessions(endpoints: Endpoints): void {
  mountResource(endpoints, sessions);
  const created = { answers: one, parameters: sessionParameters };
  endpoints.post('/checkout/sessions', created, async (db, { input, baseUrl }) =>
    withUrl(await createSession(db, input), baseUrl),
  );
  const listed = { answers: 'item[]', parameters: pageParameters };
  endpoints.get('/checkout/sessions/:id/line_items', listed, async (db, { id, input: { limit } }) => {
    const { url, data } = await lineItemsOf(db, (await readObject<Session>(db, one, id)).id);
    return listOf(url, data.slice(0, limit), data.length > limit);
  });
  const updated = { answers: one, parameters: { metadata: metadataChange } };
  endpoints.post('/checkout/sessions/:id', updated, async (db, { id, input: { metadata }, baseUrl }) => {
    const session = await readObject<Session>(db, one, id, { lock: true });
    const changed = { ...session, metadata: changeMetadata(session.metadata ?? {}, metadata) };
    await saveObject(db, changed);
    return withUrl(changed, baseUrl);
  });
  endpoints.post('/checkout/sessions/:id/expire', { answers: one, parameters: {} }, async (db, call) => {
    const session = await readObject<Session>(db, one, call.id, { lock: true });
    if (session.status !== 'open')
      throw invalidRequest(`Only Checkout Sessions with a status in ["open"] can be expired.`);
    const expired: Session = { ...session, status: 'expired', expires_at: nowSeconds() };
    await saveObject(db, expired);
    await emitEvent(db, { type: 'checkout.session.expired', object: expired, request: call.request });
    return expired;
  });
}

/** The page's address holds this sandbox's port, which may be another one tomorrow: it is never stored. */
export function withUrl(session: Session, baseUrl: string): Session {
  return { ...session, url: session.status === 'open' ? `${baseUrl}/checkout/${session.id}` : null };
}

/** Line items are part of a session only where they are asked for. */
async function lineItemsOf(db: Queryable, id: string) {
  const { hidden } = await readWithHidden<Session, SessionHidden>(db, one, id);
  return listOf(`/v1/checkout/sessions/${id}/line_items`, hidden.lineItems);
}
