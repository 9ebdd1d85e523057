import { sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { nextAt } from './due-times.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import type { CreatedRange, Page } from './parameters.ts';
import { currentTestClock, nowSeconds } from './wire.ts';

/** The fields of every stored object. */
export interface StripeObject {
  id: string;
  object: string;
}

/** A stored object with the data that belongs to it and that the API does not show. */
export interface StoredObject<T, Hidden = unknown> {
  body: T;
  hidden: Hidden;
}

/**
 * Stores a new object, with `hidden` data that the API does not show. What belongs to a customer follows the
 * customer's clock.
 */
export async function insertObject(
  trx: SandboxTransaction,
  body: StripeObject,
  hidden?: object,
): Promise<void> {
  const { id, object } = body;
  await trx
    .insertInto('stripe_objects')
    .values({
      id,
      object,
      body: JSON.stringify(body),
      hidden: hidden === undefined ? null : JSON.stringify(hidden),
      clock: 'customer' in body || 'test_clock' in body ? (currentTestClock() ?? '') : '',
      next_at: nextAt(body, nowSeconds()),
    })
    .execute();
}

/** Replaces the stored object with the same id. */
export async function saveObject(trx: SandboxTransaction, body: StripeObject): Promise<void> {
  await trx
    .updateTable('stripe_objects')
    .set({ body: JSON.stringify(body), next_at: nextAt(body, nowSeconds()), failures: 0 })
    .where('id', '=', body.id)
    .execute();
}

/** Replaces the data of a stored object that the API does not show. */
export async function saveHidden(trx: SandboxTransaction, id: string, hidden: object): Promise<void> {
  await trx
    .updateTable('stripe_objects')
    .set({ hidden: JSON.stringify(hidden) })
    .where('id', '=', id)
    .execute();
}

/** Reads an object. @throws StripeError 404, or 400 if the request's parameter `param` names it */
export async function readObject<T extends StripeObject>(
  database: SandboxDatabase,
  object: T['object'],
  id: string,
  param?: string,
): Promise<T> {
  return (await readWithHidden<T>(database, object, id, param)).body;
}

/** Reads an object like `readObject`, with its hidden data. */
export async function readWithHidden<T extends StripeObject, Hidden = unknown>(
  database: SandboxDatabase,
  object: T['object'],
  id: string,
  param?: string,
): Promise<StoredObject<T, Hidden>> {
  const found = await selectObject<T, Hidden>(database, object, id).executeTakeFirst();
  if (found === undefined) throw resourceMissing(object, id, param, param === undefined ? 404 : 400);
  return found;
}

/** Reads an object and locks it until the transaction ends. @throws StripeError 404 */
export async function lockObject<T extends StripeObject>(
  trx: SandboxTransaction,
  object: T['object'],
  id: string,
): Promise<T> {
  return (await lockWithHidden<T>(trx, object, id)).body;
}

/** Locks an object like `lockObject`, and reads its hidden data too. */
export async function lockWithHidden<T extends StripeObject, Hidden = unknown>(
  trx: SandboxTransaction,
  object: T['object'],
  id: string,
): Promise<StoredObject<T, Hidden>> {
  const found = await selectObject<T, Hidden>(trx, object, id).forUpdate().executeTakeFirst();
  if (found === undefined) throw resourceMissing(object, id);
  return found;
}

function selectObject<T, Hidden>(database: SandboxDatabase, object: string, id: string) {
  return database
    .selectFrom('stripe_objects')
    .select(['body', 'hidden'])
    .where('object', '=', object)
    .where('id', '=', id)
    .$castTo<StoredObject<T, Hidden>>();
}

/** Returns an object of any kind by its id, or undefined. */
export async function findAnyObject(database: SandboxDatabase, id: string): Promise<unknown> {
  const found = await database
    .selectFrom('stripe_objects')
    .select('body')
    .where('id', '=', id)
    .executeTakeFirst();
  return found?.body;
}

/** Returns one page of the matching objects, newest first. */
export async function listObjects<T extends StripeObject>(
  database: SandboxDatabase,
  object: T['object'],
  { filter = {}, anyOf, except, created, page }: ListOptions,
): Promise<{ data: T[]; hasMore: boolean }> {
  await checkCursors(database, object, page);
  const backwards = page.ending_before !== undefined;
  const cursor = page.starting_after ?? page.ending_before;
  const rows = await database
    .selectFrom('stripe_objects')
    .select('body')
    .where('object', '=', object)
    .where('body', '@>', toJsonb(filter))
    .$if(except !== undefined, (objects) =>
      objects.where(({ eb, not }) => not(eb('body', '@>', toJsonb(except!)))),
    )
    .$if(anyOf !== undefined, (objects) =>
      objects.where(({ eb, or }) => or(anyOf!.map((part) => eb('body', '@>', toJsonb(part))))),
    )
    .where(({ between }) => between(CREATED, created?.from ?? 0, created?.to ?? Number.MAX_SAFE_INTEGER))
    .$if(cursor !== undefined, (objects) =>
      objects.where('number', backwards ? '>' : '<', ({ selectFrom }) =>
        selectFrom('stripe_objects').select('number').where('id', '=', cursor!),
      ),
    )
    .orderBy('number', backwards ? 'asc' : 'desc')
    .limit(page.limit + 1)
    .$castTo<{ body: T }>()
    .execute();
  const data = rows.slice(0, page.limit).map((row) => row.body);
  return { data: backwards ? data.reverse() : data, hasMore: rows.length > page.limit };
}

/** When an object was created; invoice items call it `date`. */
const CREATED = sql<number>`coalesce(body->>'created', body->>'date')::bigint`;

const toJsonb = (value: object) => sql<unknown>`${JSON.stringify(value)}::jsonb`;

export interface ListOptions {
  /** Properties that the objects must have; `undefined` ones do not count. */
  filter?: Record<string, unknown>;
  /** The objects must have the properties of at least one of these. */
  anyOf?: Record<string, unknown>[];
  /** Properties that they must not have. */
  except?: Record<string, unknown>;
  created?: CreatedRange;
  page: Page;
}

/** Rejects an unknown cursor or two cursors, which would silently return the wrong page. */
async function checkCursors(database: SandboxDatabase, object: string, page: Page): Promise<void> {
  refuseTwoCursors(page);
  for (const param of ['starting_after', 'ending_before'] as const) {
    const id = page[param];
    if (id !== undefined) await readWithHidden(database, object, id, param);
  }
}

/** @throws StripeError 400 if a page has both cursors */
export function refuseTwoCursors({ starting_after, ending_before }: Page): void {
  if (starting_after !== undefined && ending_before !== undefined)
    throw invalidRequest('You may only specify one of these parameters: ending_before, starting_after.', {
      param: 'ending_before',
    });
}
