import { z } from 'zod';
import { InvalidInputError } from '../errors.ts';

/** How far a list goes, and from where: the query parameters of every list. */
export const pageQuery = {
  cursor: z.string().max(500).optional().meta({ description: '`nextCursor` of the page before' }),
  limit: z.coerce
    .number({ error: 'must be a whole number from 1 to 200' })
    .int('must be a whole number from 1 to 200')
    .min(1, 'must be at least 1')
    .max(200, 'must be at most 200')
    .default(50),
};

/** A page of a list: what is in it, and where the next one begins; null on the last. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}

/** A place in one kind of list, as text that says nothing to the outside. */
export interface CursorKind<T> {
  read(cursor: string | undefined): T | undefined;
  /** The cursor after the last of `rows`, which were asked for with one more than `limit`. */
  split<Row>(rows: Row[], limit: number, place: (last: Row) => T): { page: Row[]; nextCursor: string | null };
}

export function cursorKind<T>(kind: string, schema: z.ZodType<T>): CursorKind<T> {
  const tagged = z.tuple([z.literal(kind), schema]);
  return {
    read: (cursor) => {
      if (cursor === undefined) return undefined;
      const parsed = tagged.safeParse(parseJson(Buffer.from(cursor, 'base64url').toString()));
      if (!parsed.success) throw new InvalidInputError('query.cursor is not a cursor of this list');
      return parsed.data[1] as T;
    },
    split: (rows, limit, place) => {
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      if (rows.length <= limit || last === undefined) return { page, nextCursor: null };
      return { page, nextCursor: Buffer.from(JSON.stringify([kind, place(last)])).toString('base64url') };
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
