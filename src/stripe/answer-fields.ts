import { z } from 'zod';
import { RetryableError } from '../errors.ts';

const LATEST_SECONDS = 253_402_300_799;

export const stripeId = z.string().regex(/^[\x21-\x7e]{1,255}$/);
/** An id, or the object itself where it was expanded. */
export const reference = z.union([stripeId, z.object({ id: stripeId }).transform(({ id }) => id)]);
/** Unix seconds, as a date. */
export const time = z
  .int()
  .min(0)
  .max(LATEST_SECONDS)
  .transform((seconds) => new Date(seconds * 1000));
/** Null counts for Stripe as "not set". */
export const optionalTime = time.nullish().transform((date) => date ?? null);
export const amount = z.int().min(-1e12).max(1e12);
export const listOf = z.object({ data: z.array(z.unknown()), has_more: z.boolean().optional() });

/**
 * Reads single fields of one of Stripe's objects. A field that is not as documented is replaced by a value
 * that harms nobody, and noted as an oddity, so that one odd field does not hide the others.
 */
export class AnswerFields {
  readonly oddities: string[];
  readonly #name: string;
  readonly #fields: object;

  constructor(name: string, answer: unknown, oddities: string[] = []) {
    this.#name = name;
    this.oddities = oddities;
    if (typeof answer !== 'object' || answer === null) this.#note('', 'is no object');
    this.#fields = typeof answer === 'object' && answer !== null ? answer : {};
  }

  read<T>(field: string, schema: z.ZodType<T>, harmless: T): T {
    const parsed = schema.safeParse(this.#value(field));
    if (parsed.success) return parsed.data;
    this.#note(field, parsed.error.issues[0]?.message ?? 'is malformed');
    return harmless;
  }

  /** @throws RetryableError if the field is not as documented: without it the object says nothing */
  require<T>(field: string, schema: z.ZodType<T>): T {
    const parsed = schema.safeParse(this.#value(field));
    if (parsed.success) return parsed.data;
    throw new RetryableError(`Stripe: unreadable answer: ${this.#name}.${field} is malformed`);
  }

  /** Returns the objects of a list, such as `lines`; an absent list is empty. */
  list(field: string): unknown[] {
    return this.read(field, listOf.nullish(), null)?.data ?? [];
  }

  /** Returns the value at a path such as `parent.subscription_details`. */
  #value(path: string): unknown {
    return path
      .split('.')
      .reduce<unknown>(
        (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
        this.#fields,
      );
  }

  #note(field: string, problem: string): void {
    this.oddities.push(`${[this.#name, field].filter(Boolean).join('.')}: ${problem}`);
  }
}
