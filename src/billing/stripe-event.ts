import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';

const id = z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not an id');

/** What every Stripe event has; `data.object` is what it is about. */
const eventSchema = z.object({
  id,
  object: z.literal('event').optional(),
  type: z.string().regex(/^[\x21-\x7e]{1,255}$/, 'is not an event type'),
  /** Seconds since 1970. */
  created: z.int().min(0).max(253_402_300_799).optional(),
  livemode: z.boolean().optional(),
  data: z.object({ object: z.record(z.string(), z.unknown()) }),
});

const withId = z.object({ id });

/** A signed event as it was sent. `payload` is all of it, unchanged: what goes into a row passes through `storable` first. */
export interface StripeEvent {
  id: string;
  type: string;
  livemode: boolean;
  createdAt: Date;
  /** Id of the object that it is about, where that has one. */
  objectId: string | undefined;
  object: Record<string, unknown>;
  payload: Record<string, unknown>;
}

/** @throws InvalidInputError for text that is not JSON, or JSON that is not an event. */
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
  const { data, created, livemode, type } = parsed.data;
  return {
    id: parsed.data.id,
    type,
    livemode: livemode ?? false,
    createdAt: created === undefined ? new Date() : new Date(created * 1000),
    objectId: withId.safeParse(data.object).data?.id,
    object: data.object,
    payload: payload as Record<string, unknown>,
  };
}
