import { InvalidInputError } from '../errors.ts';

/** Far deeper than anything Stripe sends, and far below where Postgres or this recursion would run out of stack. */
const MAX_DEPTH = 64;

/** The text with U+FFFD for what Postgres refuses: NUL and unpaired surrogates. */
export function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}

/**
 * The same JSON value as Postgres can keep it in a `jsonb` column.
 * @throws InvalidInputError where it is nested deeper than any sensible document.
 */
export function storable<T>(value: T, depth = 0): T {
  if (depth > MAX_DEPTH) throw new InvalidInputError(`The JSON is nested more than ${MAX_DEPTH} levels deep`);
  if (typeof value === 'string') return storableText(value) as T;
  if (Array.isArray(value)) return value.map((item) => storable(item, depth + 1)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [storableText(key), storable(item, depth + 1)]);
  return Object.fromEntries(entries) as T;
}
