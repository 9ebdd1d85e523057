import { InvalidInputError } from '../errors.ts';

/**
 * Far deeper than anything a vendor sends, and far below where Postgres or this recursion would run out of
 * stack.
 */
const MAX_DEPTH = 64;

/**
 * What Postgres refuses in a text, and half a surrogate pair, become U+FFFD: the rest of a message is worth
 * keeping.
 */
function storableText(text: string): string {
  return text.toWellFormed().replaceAll('\u0000', '\ufffd');
}

/** The first `maxLength` code points of a text, which is how Postgres counts: no character is cut in half. */
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
 * JSON text that a `jsonb` column takes. Nothing but `jsonText` makes it, so nothing else gets into such a
 * column.
 */
export type JsonText = string & { readonly [stored]: true };

/** @throws InvalidInputError where it is nested deeper than any sensible document. */
export function jsonText(value: object): JsonText {
  return JSON.stringify(storableJson(value, 0)) as JsonText;
}

function storableJson(value: unknown, depth: number): unknown {
  if (depth > MAX_DEPTH) throw new InvalidInputError(`The JSON is nested more than ${MAX_DEPTH} levels deep`);
  if (typeof value === 'string') return storableText(value);
  if (Array.isArray(value)) return value.map((item) => storableJson(item, depth + 1));
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  // Not by assignment: a key `__proto__` would change what it is written into.
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storableText(key), storableJson(item, depth + 1)]),
  );
}

/** A statement's parameter as Postgres takes it; only texts, alone or in lists, are changed. */
export function storableParameter(value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  return Array.isArray(value) ? value.map(storableParameter) : value;
}
