import { type ExpressionBuilder, sql } from 'kysely';
import { z } from 'zod';
import { readClock } from '../clock/store.ts';
import type { SandboxDatabase, SandboxTables, SandboxTransaction } from '../database.ts';
import { announceDue, scheduleDue } from '../due.ts';
import { invalidRequest, resourceMissing } from './errors.ts';
import { refuseTwoCursors } from './objects.ts';
import { boolean, createdRange, type Page, pageParameters, text } from './parameters.ts';
import type { EventBody } from './schema.ts';
import { API_VERSION, type Event, newId, nowSeconds } from './wire.ts';

/** The kind of due work that delivers one event to the webhook. */
export const DELIVERY_KIND = 'stripe-delivery';

const KEPT_SECONDS = 30 * 24 * 3600;

export interface EventCause {
  id: string | null;
  idempotency_key: string | null;
}

const NO_REQUEST: EventCause = { id: null, idempotency_key: null };

/** Stores an event and schedules its delivery, in the transaction of the change. @returns the event's id */
export async function emitEvent(
  trx: SandboxTransaction,
  {
    type,
    object,
    previous,
    request = NO_REQUEST,
  }: { type: Event['type']; object: object; previous?: object; request?: EventCause },
): Promise<string> {
  const id = newId('evt');
  const created = nowSeconds();
  const body = {
    id,
    object: 'event',
    api_version: API_VERSION,
    created,
    data: { object, ...(previous && { previous_attributes: previous }) },
    livemode: false,
    request,
    type,
  };
  const payload = JSON.stringify({ eventId: id, failures: 0, resend: false });
  // One statement, because a year of renewals emits thousands of events.
  await trx
    .with('stored', (db) =>
      db
        .insertInto('stripe_events')
        .values({ id, type, created, body: JSON.stringify(body) })
        .returning('id'),
    )
    .insertInto('due')
    .values({ kind: DELIVERY_KIND, key: id, at: new Date(), payload })
    .execute();
  announceDue();
  return id;
}

/** Schedules the immediate delivery of an event; with `resend` also of a delivered one. */
export async function scheduleDelivery(
  database: SandboxDatabase,
  eventId: string,
  resend = false,
): Promise<void> {
  const payload = { eventId, failures: 0, resend };
  await scheduleDue(database, { kind: DELIVERY_KIND, key: eventId, at: new Date(), payload });
}

/** Reads an event. @throws StripeError 404 */
export async function readEvent(database: SandboxDatabase, id: string): Promise<Event> {
  const row = await database
    .selectFrom('stripe_events')
    .select(['body', 'delivered_at'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw resourceMissing('event', id);
  return toEvent(row);
}

export const eventListParameters = {
  ...pageParameters,
  type: text.optional(),
  types: z.array(text).max(20).optional(),
  delivery_success: boolean.optional(),
  created: createdRange,
};

/** Returns one page of events, newest first. */
export async function listEvents(
  database: SandboxDatabase,
  { type, types, delivery_success, created, ...page }: z.output<z.ZodObject<typeof eventListParameters>>,
): Promise<{ data: Event[]; hasMore: boolean }> {
  await checkCursors(database, page);
  const { now } = await readClock(database);
  if (type !== undefined && types !== undefined)
    throw invalidRequest('You may only specify one of these parameters: type, types.', { param: 'types' });
  const patterns = (types ?? (type === undefined ? undefined : [type]))?.map(toLikePattern);
  const backwards = page.ending_before !== undefined;
  const cursor = page.starting_after ?? page.ending_before;
  const rows = await database
    .selectFrom('stripe_events')
    .select(['body', 'delivered_at'])
    .where((event) => event.between('created', String(created.from), String(created.to)))
    .where(isKept(Math.floor(now.getTime() / 1000) - KEPT_SECONDS))
    .$if(patterns !== undefined, (events) => events.where('type', 'like', sql<string>`any(${patterns})`))
    .$if(delivery_success !== undefined, (events) =>
      events.where('delivered_at', delivery_success ? 'is not' : 'is', null),
    )
    .$if(cursor !== undefined, (events) =>
      events.where('number', backwards ? '>' : '<', ({ selectFrom }) =>
        selectFrom('stripe_events').select('number').where('id', '=', cursor!),
      ),
    )
    .orderBy('number', backwards ? 'asc' : 'desc')
    .limit(page.limit + 1)
    .execute();
  const data = rows.slice(0, page.limit).map(toEvent);
  return { data: backwards ? data.reverse() : data, hasMore: rows.length > page.limit };
}

/** Events are listed for 30 days; those of a test clock, which may live in another year, always. */
function isKept(since: number) {
  return ({ eb, or }: ExpressionBuilder<SandboxTables, 'stripe_events'>) =>
    or([eb('created', '>=', String(since)), eb(sql`body #>> '{data,object,test_clock}'`, 'is not', null)]);
}

async function checkCursors(database: SandboxDatabase, page: Page): Promise<void> {
  refuseTwoCursors(page);
  for (const param of ['starting_after', 'ending_before'] as const) {
    const id = page[param];
    if (id === undefined) continue;
    const known = await database
      .selectFrom('stripe_events')
      .select('id')
      .where('id', '=', id)
      .executeTakeFirst();
    if (known === undefined) throw resourceMissing('event', id, param, 400);
  }
}

function toEvent({ body, delivered_at }: { body: EventBody; delivered_at: Date | null }): Event {
  return { ...body, pending_webhooks: delivered_at === null ? 1 : 0 } as Event;
}

/** Returns the pattern of a type such as `invoice.*`. */
function toLikePattern(type: string): string {
  return type.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
}
