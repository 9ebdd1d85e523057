import { z } from 'zod';
import { mailAddress } from '../config/notices.ts';
import { AnswerFields, listOf, stripeId, time } from './answer-fields.ts';
import type { StripeEvent } from './event.ts';
import { askStripe, createStripe, type StripeAccount, StripeMissingError } from './stripe.ts';

const PAGE = 100;

/**
 * Lists all completed checkout sessions of the account, newest first, as the events that once told them: a
 * hundred a call. Their ids are this service's own.
 * @throws RetryableError for an answer that is unusable, PermanentError if the key may not read them
 * @see https://docs.stripe.com/api/checkout/sessions/list
 */
export async function* listCompletedSessions(account: StripeAccount): AsyncGenerator<StripeEvent> {
  const stripe = createStripe(account);
  let after: string | undefined;
  do {
    const page = await askStripe(
      stripe.checkout.sessions.list({
        status: 'complete',
        limit: PAGE,
        ...(after !== undefined && { starting_after: after }),
      }),
    );
    const { data, has_more: more } = new AnswerFields('answer', { list: page }).require('list', listOf);
    const events = data.map(toEvent);
    yield* events;
    after = more === true ? events.at(-1)?.objectId : undefined;
  } while (after !== undefined);
}

/**
 * Reads one checkout session, as the event that once told it.
 * @returns undefined if Stripe does not know it, or if it is not completed
 * @throws as `listCompletedSessions` does
 * @see https://docs.stripe.com/api/checkout/sessions/retrieve
 */
export async function readCompletedSession(
  account: StripeAccount,
  sessionId: string,
): Promise<StripeEvent | undefined> {
  try {
    const session = await askStripe(createStripe(account).checkout.sessions.retrieve(sessionId));
    return session.status === 'complete' ? toEvent(session) : undefined;
  } catch (error) {
    if (error instanceof StripeMissingError) return undefined;
    throw error;
  }
}

/** Of the session only its buyer's mail address is kept: notices go there. */
function toEvent(item: unknown): StripeEvent {
  const fields = new AnswerFields('session', item);
  const sessionId = fields.require('id', stripeId);
  const email = fields.read('customer_details.email', mailAddress.nullish(), null) ?? null;
  return {
    id: `recovered_${sessionId}`.slice(0, 255),
    type: 'checkout.session.completed',
    livemode: fields.read('livemode', z.boolean(), false),
    createdAt: fields.require('created', time),
    connected: false,
    objectId: sessionId,
    object: item as Record<string, unknown>,
    payload: email === null ? {} : { data: { object: { customer_details: { email } } } },
  };
}
