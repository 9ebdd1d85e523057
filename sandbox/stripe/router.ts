import express, { type Request, type RequestHandler } from 'express';
import { findGrant } from '../credentials/issued.ts';
import type { StripeGrant } from '../credentials/schema.ts';
import type { SandboxDatabase } from '../database.ts';
import { type SandboxTokens, sameSecret } from '../tokens.ts';
import { mountAccount } from './account.ts';
import { mountCharges } from './charges.ts';
import { mountCreditNotes } from './credit-notes.ts';
import { mountCustomerBalance } from './customer-balance.ts';
import { mountCustomers } from './customers.ts';
import { mountDisputes } from './disputes.ts';
import { createEndpoints, type Endpoints } from './endpoint.ts';
import { answerError, invalidRequest, refuseUnknownPath, StripeError } from './errors.ts';
import { eventListParameters, listEvents, readEvent } from './events.ts';
import { mountInvoiceItems } from './invoice-items.ts';
import { mountInvoicePayments } from './invoice-payments.ts';
import { mountInvoices } from './invoices.ts';
import { mountPaymentIntents } from './payment-intents.ts';
import { mountPaymentMethods } from './payment-methods.ts';
import { mountPortalSessions } from './portal-sessions.ts';
import { mountPrices } from './prices.ts';
import { mountProducts } from './products.ts';
import { mountRefunds } from './refunds.ts';
import { mountSessions } from './sessions.ts';
import { mountSubscriptions } from './subscriptions.ts';
import { mountTestClocks } from './test-clocks.ts';
import { mountWebhookEndpoints } from './webhook-endpoints.ts';
import { API_VERSION, toList } from './wire.ts';

/**
 * Creates the part of Stripe's API for buying and managing subscriptions. Mount at `/v1`. Source:
 * https://docs.stripe.com/api, in the version that the pinned `stripe` package speaks.
 */
export function createStripeRouter({
  database,
  tokens,
}: {
  database: SandboxDatabase;
  tokens: SandboxTokens;
}): RequestHandler {
  // A separate application, because only an application can enable nested query parameters
  // (`created[gte]=…`).
  const api = express();
  api.disable('x-powered-by');
  api.disable('etag');
  api.set('query parser', 'extended');
  api.use(requireKey(database, tokens));
  api.use(refuseJson, express.urlencoded({ extended: true, limit: '256kb' }));
  const endpoints = createEndpoints(api, database);
  mountSessions(endpoints);
  mountPortalSessions(endpoints);
  mountCustomers(endpoints);
  mountCustomerBalance(endpoints);
  mountProducts(endpoints);
  mountPrices(endpoints);
  mountSubscriptions(endpoints);
  mountInvoices(endpoints);
  mountInvoiceItems(endpoints);
  mountInvoicePayments(endpoints);
  mountCreditNotes(endpoints);
  mountPaymentMethods(endpoints);
  mountPaymentIntents(endpoints);
  mountCharges(endpoints);
  mountRefunds(endpoints);
  mountDisputes(endpoints);
  mountTestClocks(endpoints);
  mountWebhookEndpoints(endpoints);
  mountEvents(endpoints);
  mountAccount(endpoints, tokens.stripeSecretKey);
  api.use(refuseUnknownPath, answerError);
  return api;
}

function mountEvents(endpoints: Endpoints): void {
  const listed = { answers: 'event[]', parameters: eventListParameters };
  endpoints.get('/events', listed, async (database, { input }) => {
    const { data, hasMore } = await listEvents(database, input);
    return toList('/v1/events', data, hasMore);
  });
  endpoints.get('/events/:id', { answers: 'event', parameters: {} }, (database, { id }) =>
    readEvent(database, id),
  );
}

/**
 * Requires the secret key or a restricted one, as a `Bearer` token or as the user of Basic authentication.
 */
function requireKey(database: SandboxDatabase, tokens: SandboxTokens): RequestHandler {
  return async (request, response, next) => {
    response.set('Stripe-Version', API_VERSION);
    const [scheme = '', credential = ''] = (request.get('authorization') ?? '').split(' ');
    const key =
      scheme.toLowerCase() === 'basic'
        ? Buffer.from(credential, 'base64').toString('utf8').split(':')[0]!
        : credential;
    if (key === '') throw unauthorized('You did not provide an API key.');
    if (sameSecret(key, tokens.stripeSecretKey)) return next();
    const grant = await findGrant(database, 'stripe', key);
    if (grant === undefined) throw unauthorized('Invalid API Key provided.');
    requirePermission(grant, request);
    next();
  };
}

/** A restricted key may do everything but what was denied to it. */
function requirePermission({ denied, readOnly }: StripeGrant, { method, path }: Request): void {
  const resource = path.split('/')[1] ?? '';
  if (!denied.includes(resource) && (method === 'GET' || !readOnly.includes(resource))) return;
  throw new StripeError(403, {
    type: 'invalid_request_error',
    message: `The provided key does not have the required permissions for this endpoint: ${resource}`,
  });
}

function unauthorized(message: string): StripeError {
  return new StripeError(401, { type: 'invalid_request_error', message });
}

const refuseJson: RequestHandler = (request, _response, next) => {
  if (request.is('json'))
    throw invalidRequest('Invalid request: send parameters as application/x-www-form-urlencoded, not JSON.');
  next();
};
