import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';

const id = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not an id');

const LATEST_SECONDS = 253_402_300_799;
/** API v1 sends seconds since 1970, API v2 an ISO date. */
const created = z.union([
  z
    .int()
    .min(0)
    .max(LATEST_SECONDS)
    .transform((seconds) => new Date(seconds * 1000)),
  z.iso.datetime({ offset: true }).transform((time) => new Date(time)),
]);

/**
 * Requires only the fields that identify an event. Other fields that are missing, null or of another type
 * count as absent, so that no event is lost. A thin event (API v2) has no `data.object`.
 */
const eventSchema = z.object({
  id,
  object: z.enum(['event', 'v2.core.event']).nullish(),
  type: z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not an event type'),
  created: created.optional().catch(undefined),
  livemode: z.boolean().optional().catch(undefined),
  /** Set if the event happened in a connected account instead of the endpoint's own. */
  account: z.unknown().optional(),
  data: z.object({ object: z.record(z.string(), z.unknown()).nullish() }).nullish(),
});

const withId = z.object({ id });

/** A signed event. `payload` is the complete event, unchanged. */
export interface StripeEvent {
  id: string;
  type: string;
  livemode: boolean;
  createdAt: Date;
  /** Whether it belongs to a connected account (Stripe Connect). */
  connected: boolean;
  /** The id of the object that the event is about, if it has one. */
  objectId: string | undefined;
  /** Undefined for a thin event, which only names its object. */
  object: Record<string, unknown> | undefined;
  payload: Record<string, unknown>;
}

/** @throws InvalidInputError for text that is not JSON, or JSON that is not an event */
export function parseStripeEvent(text: string): StripeEvent {
  let payload: unknown;
  try {
    payload = JSON.parse(text);
  } catch (error) {
    throw new InvalidInputError('The body is not JSON', { cause: error });
  }
  const parsed = eventSchema.safeParse(payload);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path.join('.') || 'the body';
    throw new InvalidInputError(`The body is not a Stripe event: ${where}: ${issue?.message}`);
  }
  const { data, livemode, type, account } = parsed.data;
  const object = data?.object ?? undefined;
  return {
    id: parsed.data.id,
    type,
    livemode: livemode ?? false,
    createdAt: parsed.data.created ?? new Date(),
    connected: account !== undefined && account !== null,
    objectId: withId.safeParse(object).data?.id,
    object,
    payload: payload as Record<string, unknown>,
  };
}
