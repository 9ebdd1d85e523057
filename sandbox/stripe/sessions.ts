import { z } from 'zod';
import type { SandboxDatabase } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { expireSession } from './expire-session.ts';
import { lockObject, readObject, readWithHidden, saveObject } from './objects.ts';
import { changeMetadata, metadataChange, pageParameters, text } from './parameters.ts';
import { equals, mountResource, type Resource } from './resource.ts';
import { createSession, type SessionHidden, sessionParameters } from './session-create.ts';
import { type Session, toList } from './wire.ts';

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
  includes: { line_items: (database, session) => listLineItems(database, session.id) },
  present: withUrl,
};

const SESSION = 'checkout.session';

export function mountSessions(endpoints: Endpoints): void {
  mountResource(endpoints, sessions);
  const created = { answers: SESSION, parameters: sessionParameters };
  endpoints.post('/checkout/sessions', created, async (trx, { input, baseUrl }) =>
    withUrl(await createSession(trx, input), baseUrl),
  );
  const listed = { answers: 'item[]', parameters: pageParameters };
  endpoints.get('/checkout/sessions/:id/line_items', listed, async (database, { id, input: { limit } }) => {
    const { url, data } = await listLineItems(
      database,
      (await readObject<Session>(database, SESSION, id)).id,
    );
    return toList(url, data.slice(0, limit), data.length > limit);
  });
  const updated = { answers: SESSION, parameters: { metadata: metadataChange } };
  endpoints.post('/checkout/sessions/:id', updated, async (trx, { id, input: { metadata }, baseUrl }) => {
    const session = await lockObject<Session>(trx, SESSION, id);
    const changed = { ...session, metadata: changeMetadata(session.metadata ?? {}, metadata) };
    await saveObject(trx, changed);
    return withUrl(changed, baseUrl);
  });
  endpoints.post('/checkout/sessions/:id/expire', { answers: SESSION, parameters: {} }, async (trx, call) => {
    const session = await lockObject<Session>(trx, SESSION, call.id);
    if (session.status !== 'open')
      throw invalidRequest(`Only Checkout Sessions with a status in ["open"] can be expired.`);
    return expireSession(trx, session, call.request);
  });
}

/** Adds the page's address. It contains this sandbox's port, which can change, so it is never stored. */
export function withUrl(session: Session, baseUrl: string): Session {
  return { ...session, url: session.status === 'open' ? `${baseUrl}/checkout/${session.id}` : null };
}

/** Lists line items, which a session contains only on request. */
async function listLineItems(database: SandboxDatabase, id: string) {
  const { hidden } = await readWithHidden<Session, SessionHidden>(database, SESSION, id);
  return toList(`/v1/checkout/sessions/${id}/line_items`, hidden.lineItems);
}
