import express, { type ErrorRequestHandler, type RequestHandler } from 'express';
import { type Outcome, recordStripeEvent } from '../../billing/record.ts';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { parseStripeEvent, type StripeEvent } from '../../stripe/event.ts';
import { answerProbe } from '../../stripe/probe-event.ts';
import { verifyStripeSignature } from '../../stripe/signature.ts';
import type { HttpDeps } from '../deps.ts';
import { toRefusal } from '../problem.ts';
import { traceRequest } from '../webhook-metrics.ts';

const ROUTE = '/api/webhooks/stripe';

/** Several times the size of Stripe's largest event. */
const LIMIT = '512kb';

type Deps = Pick<
  HttpDeps,
  | 'database'
  | 'queue'
  | 'clock'
  | 'log'
  | 'webhookSecrets'
  | 'mode'
  | 'plans'
  | 'actsOnPast'
  | 'pricesDecide'
  | 'isTraced'
>;

/** `POST /api/webhooks/stripe`: verifies, extracts, commits, answers. */
export function receiveStripeEvent(deps: Deps): (RequestHandler | ErrorRequestHandler)[] {
  const { log, webhookSecrets, mode } = deps;
  const receive: RequestHandler = async (request, response) => {
    const signatures = request.headersDistinct['stripe-signature'] ?? [];
    const rawBody = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const event = parseStripeEvent(verifyStripeSignature(rawBody, signatures, webhookSecrets));
    const proof = answerProbe(event, webhookSecrets);
    if (proof !== undefined) {
      response.json({ received: true, proof });
      return;
    }
    const outcome = await recordStripeEvent(deps, event, mode);
    response.json({ received: true });
    logRecorded(log, event, outcome);
    const { operationId } = outcome;
    if (deps.isTraced === true && operationId !== undefined && outcome.outcome === 'acted')
      traceRequest(deps.database, response, { kind: 'webhook', route: ROUTE, operationId });
  };
  // Inflating is off: the signature covers the bytes as sent, and Stripe does not compress.
  return [express.raw({ type: () => true, limit: LIMIT, inflate: false }), receive, refuse(log)];
}

function refuse(log: Log): ErrorRequestHandler {
  return (error, _request, response, _next) => {
    const { status, detail, headers } = toRefusal(error);
    const level = status >= 500 ? 'error' : 'warn';
    log[level](
      { event: 'stripe.refused', status, reason: detail, error: errorMessage(error) },
      'refused a Stripe event',
    );
    response.status(status).set(headers).json({ error: detail });
  };
}

function logRecorded(log: Log, event: StripeEvent, outcome: Outcome): void {
  // An endpoint that delivers the wrong kind of event needs a person to fix it.
  const isOdd = outcome.outcome === 'attention' || event.object === undefined || event.connected;
  const level = isOdd ? 'warn' : 'info';
  log[level](
    {
      event: 'stripe.recorded',
      stripeEventId: event.id,
      type: event.type,
      objectId: event.objectId,
      ...outcome,
    },
    outcome.outcome === 'known' || outcome.outcome === 'duplicate'
      ? 'a Stripe event was already processed'
      : 'a Stripe event was recorded',
  );
}
