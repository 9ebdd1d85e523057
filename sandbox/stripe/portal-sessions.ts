import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { insertObject, readObject } from './objects.ts';
import { text, url } from './parameters.ts';
import { transact } from './transact.ts';
import { type Customer, newId, nowSeconds, type PortalSession } from './wire.ts';

const KIND = 'billing_portal.session';
const OPEN_SECONDS = 3600;

/** The one configuration of the sandbox's portal: everything that its page offers. */
const CONFIGURATION = 'bpc_sandbox';

/** Serves the links to the customer portal. The portal itself is a page of the sandbox. */
export function mountPortalSessions(endpoints: Endpoints): void {
  endpoints.declare(KIND, { expandable: {} });
  const parameters = { customer: text, return_url: url.optional(), locale: text.max(10).optional() };
  endpoints.post(
    '/billing_portal/sessions',
    { answers: KIND, parameters },
    async (trx, { input, baseUrl }) => {
      await readObject<Customer>(trx, 'customer', input.customer, 'customer');
      return createPortalSession(trx, input.customer, baseUrl, input.return_url);
    },
  );
}

/** Opens the portal for a customer, for an hour. */
export async function createPortalSession(
  trx: SandboxTransaction,
  customer: string,
  baseUrl: string,
  returnUrl?: string,
): Promise<PortalSession> {
  const id = newId('bps');
  const session: PortalSession = {
    id,
    object: KIND,
    configuration: CONFIGURATION,
    created: nowSeconds(),
    customer,
    customer_account: null,
    flow: null,
    livemode: false,
    locale: null,
    on_behalf_of: null,
    return_url: returnUrl ?? null,
    url: `${baseUrl}/portal/${id}`,
  };
  await insertObject(trx, session);
  return session;
}

/** Reads the session of a portal's page. @throws StripeError once it is unknown or too old */
export async function readPortalSession(database: SandboxDatabase, id: string): Promise<PortalSession> {
  const { session, isOpen } = await transact(database, [id], async (trx) => {
    const session = await readObject<PortalSession>(trx, KIND, id);
    return { session, isOpen: session.created + OPEN_SECONDS > nowSeconds() };
  });
  if (isOpen) return session;
  throw invalidRequest('This link has expired. Open the billing page again from where you came.');
}
