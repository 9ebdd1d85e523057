import { InvalidInputError } from '../errors.ts';

/**
 * Far deeper than anything a vendor sends, and far below the depth at which Postgres or this recursion would
 * overflow the stack.
 */
const MAX_DEPTH = 64;

/**
 * Replaces NUL, which Postgres rejects, and lone surrogates with U+FFFD, to keep the rest of the text.
 */
function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}

/** Returns the first `maxLength` code points, as Postgres counts, so that no character is cut in half. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  let [count, end] = [0, 0];
  for (const character of text) {
    if (count === maxLength) return text.slice(0, end);
    count += 1;
    end += character.length;
  }
  return text;
}

declare const stored: unique symbol;

/**
 * JSON text that a `jsonb` column accepts. Only `jsonText` creates it, so nothing else can be written to such
 * a column.
 */
export type JsonText = string & { readonly [stored]: true };

/** @throws InvalidInputError if the value is nested deeper than any sensible document */
export function jsonText(value: object): JsonText {
  return JSON.stringify(storableJson(value, 0)) as JsonText;
}

function storableJson(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new InvalidInputError(`The JSON is nested more than ${MAX_DEPTH} levels deep`);
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map((item) => storableJson(item, depth + 1));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  // Not by assignment: a key `__proto__` would replace the object's prototype.
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storableJson(item, depth + 1)]),
  );
}

/** Cleans a statement's parameter so that Postgres accepts it. Only changes texts, alone or in lists. */
export function storableParameter(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  return Array.isArray(value) ? value.map(storableParameter) : value;
}
