import { z } from 'zod';
import { AnswerFields, listOf, stripeId, time } from './answer-fields.ts';
import type { StripeEvent } from './event.ts';
import { askStripe, createStripe, type StripeAccount } from './stripe.ts';

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

function toEvent(item: unknown): StripeEvent {
  const fields = new AnswerFields('session', item);
  const sessionId = fields.require('id', stripeId);
  return {
    id: `recovered_${sessionId}`.slice(0, 255),
    type: 'checkout.session.completed',
    livemode: fields.read('livemode', z.boolean(), false),
    createdAt: fields.require('created', time),
    connected: false,
    objectId: sessionId,
    object: item as Record<string, unknown>,
    payload: {},
  };
}
