import type { Queryable } from '../database.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import type { CreatedRange, Page } from './parameters.ts';

/** What every stored object has. */
export type StripeObject = { id: string; object: string };

type ObjectRow<T, Hidden = unknown> = { body: T; hidden: Hidden };

export async function insertObject(db: Queryable, body: StripeObject, hidden?: unknown): Promise<void> {
  await db.query('INSERT INTO stripe_objects (id, object, body, hidden) VALUES ($1, $2, $3, $4)', [
    body.id,
    body.object,
    JSON.stringify(body),
    hidden === undefined ? null : JSON.stringify(hidden),
  ]);
}

export async function saveObject(db: Queryable, body: StripeObject): Promise<void> {
  await db.query('UPDATE stripe_objects SET body = $2 WHERE id = $1', [body.id, JSON.stringify(body)]);
}

/** Reads one object, or throws the error that names `param`. With `lock`, nobody else changes it meanwhile. */
export async function readObject<T extends StripeObject>(
  db: Queryable,
  object: T['object'],
  id: string,
  options: { lock?: boolean; param?: string } = {},
): Promise<T> {
  return (await readWithHidden<T>(db, object, id, options)).body;
}

export async function readWithHidden<T extends StripeObject, Hidden = unknown>(
  db: Queryable,
  object: T['object'],
  id: string,
  { lock = false, param }: { lock?: boolean; param?: string } = {},
): Promise<ObjectRow<T, Hidden>> {
  const { rows } = await db.query<ObjectRow<T, Hidden>>(
    `SELECT body, hidden FROM stripe_objects WHERE object = $1 AND id = $2 ${lock ? 'FOR UPDATE' : ''}`,
    [object, id],
  );
  if (!rows[0]) throw resourceMissing(object, id, param, param === undefined ? 404 : 400);
  return rows[0];
}

/** Any object by its id, whatever it is: for `expand`. */
export async function findAnyObject(db: Queryable, id: string): Promise<unknown> {
  const { rows } = await db.query<{ body: unknown }>('SELECT body FROM stripe_objects WHERE id = $1', [id]);
  return rows[0]?.body;
}

/** One page of the objects that the options keep, newest first. */
export async function listObjects<T extends StripeObject>(
  db: Queryable,
  object: T['object'],
  { filter = {}, anyOf, except, created, page }: ListOptions,
): Promise<{ data: T[]; hasMore: boolean }> {
  await checkCursors(db, object, page);
  const backwards = page.ending_before !== undefined;
  const { rows } = await db.query<{ body: T }>(
    `SELECT body FROM stripe_objects
     WHERE object = $1 AND body @> $2::jsonb AND NOT body @> coalesce($3::jsonb, '{"never": "so"}')
       AND ($9::jsonb[] IS NULL OR body @> ANY($9::jsonb[]))
       AND coalesce(body->>'created', body->>'date')::bigint BETWEEN $4 AND $5
       AND ($6::text IS NULL OR number < (SELECT number FROM stripe_objects WHERE id = $6))
       AND ($7::text IS NULL OR number > (SELECT number FROM stripe_objects WHERE id = $7))
     ORDER BY number ${backwards ? 'ASC' : 'DESC'} LIMIT $8`,
    [
      object,
      JSON.stringify(filter),
      except === undefined ? null : JSON.stringify(except),
      created?.from ?? 0,
      created?.to ?? Number.MAX_SAFE_INTEGER,
      page.starting_after,
      page.ending_before,
      page.limit + 1,
      anyOf?.map((part) => JSON.stringify(part)) ?? null,
    ],
  );
  const data = rows.slice(0, page.limit).map((row) => row.body);
  return { data: backwards ? data.reverse() : data, hasMore: rows.length > page.limit };
}

export type ListOptions = {
  /** Properties that the objects must have; `undefined` ones do not count. */
  filter?: Record<string, unknown>;
  /** Of these, they must have those of one. */
  anyOf?: Record<string, unknown>[];
  /** Properties that they must not have. */
  except?: Record<string, unknown>;
  created?: CreatedRange;
  page: Page;
};

/** A cursor that names nothing, or two at once, would silently give another page than was meant. */
async function checkCursors(db: Queryable, object: string, page: Page): Promise<void> {
  refuseTwoCursors(page);
  for (const param of ['starting_after', 'ending_before'] as const) {
    const id = page[param];
    if (id !== undefined) await readWithHidden(db, object, id, { param });
  }
}

export function refuseTwoCursors({ starting_after, ending_before }: Page): void {
  if (starting_after !== undefined && ending_before !== undefined)
    throw invalidRequest('You may only specify one of these parameters: ending_before, starting_after.', {
      param: 'ending_before',
    });
}
