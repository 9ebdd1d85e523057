import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';

/** The query parameters of every list: page size and start. */
export const pageQuery = {
  cursor: z.string().max(500).optional().meta({ description: '`nextCursor` of the page before' }),
  limit: z.coerce
    .number({ error: 'must be a whole number from 1 to 200' })
    .int('must be a whole number from 1 to 200')
    .min(1, 'must be at least 1')
    .max(200, 'must be at most 200')
    .default(50),
};

/** A page of a list and the cursor of the next one; null on the last page. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

/** Encodes a position in one kind of list as opaque text. */
export interface CursorKind<T> {
  read(cursor: string | undefined): T | undefined;
  /** Splits off the page. `rows` were selected with one more than `limit`. */
  split<Row>(
    rows: Row[],
    limit: number,
    position: (last: Row) => T,
  ): { page: Row[]; nextCursor: string | null };
}

export function cursorKind<T>(kind: string, schema: z.ZodType<T>): CursorKind<T> {
  const tagged = z.tuple([z.literal(kind), schema]);
  return {
    read: (cursor) => {
      if (cursor === undefined) return undefined;
      const parsed = tagged.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()));
      if (!parsed.success) throw new InvalidInputError('query.cursor is not valid for this list');
      return parsed.data[1] as T;
    },
    split: (rows, limit, position) => {
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      if (rows.length <= limit || last === undefined) return { page, nextCursor: null };
      return { page, nextCursor: Buffer.from(JSON.stringify([kind, position(last)])).toString('base64url') };
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
