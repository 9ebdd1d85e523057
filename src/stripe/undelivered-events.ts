import { InvalidInputError } from '../errors.ts';
import { AnswerFields, listOf } from './answer-fields.ts';
import { parseStripeEvent, type StripeEvent } from './event.ts';
import { askStripe, createStripe, type StripeAccount } from './stripe.ts';

const PAGE = 100;
/** Bounds one round. Events that still cannot be delivered are listed again in the next one. */
const MOST_PAGES = 50;

/**
 * Lists the events of the last 30 days that Stripe could not deliver to every endpoint, newest first, a
 * hundred a call. What is no event is left out.
 * @throws RetryableError; PermanentError if the key may not read them
 * @see https://docs.stripe.com/webhooks/process-undelivered-events
 */
export async function* listUndeliveredEvents(account: StripeAccount): AsyncGenerator<StripeEvent[]> {
  const stripe = createStripe(account);
  let after: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await askStripe(
      stripe.events.list({
        delivery_success: false,
        limit: PAGE,
        ...(after !== undefined && { starting_after: after }),
      }),
    );
    const { data, has_more: more } = new AnswerFields('answer', { list: answer }).require('list', listOf);
    const events = data.flatMap(toEvent);
    yield events;
    const last = events.at(-1)?.id;
    if (more !== true || last === undefined || last === after) return;
    after = last;
  }
}

/** Events listed are the same objects as events delivered. */
function toEvent(item: unknown): StripeEvent[] {
  try {
    return [parseStripeEvent(JSON.stringify(item))];
  } catch (error) {
    if (error instanceof InvalidInputError) return [];
    throw error;
  }
}
