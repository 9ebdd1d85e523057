import { z } from 'zod';
import type { Queryable } from '../database.ts';
import { scheduleDue } from '../due.ts';
import { resourceMissing } from './errors.ts';
import { refuseTwoCursors } from './objects.ts';
import { boolean, createdRange, type Page, pageParameters, text } from './parameters.ts';
import { apiVersion, type Event, newId, nowSeconds } from './wire.ts';

/** Kind of due work that brings one event to the webhook. */
export const deliveryKind = 'stripe-delivery';

export type EventCause = { id: string | null; idempotency_key: string | null };

const noRequest: EventCause = { id: null, idempotency_key: null };

/** Stores an event and its delivery, in the transaction that changes what it tells about. Answers its id. */
export async function emitEvent(
  db: Queryable,
  {
    type,
    object,
    previous,
    request = noRequest,
  }: { type: Event['type']; object: object; previous?: object; request?: EventCause },
): Promise<string> {
  const id = newId('evt');
  const created = nowSeconds();
  const body = {
    id,
    object: 'event',
    api_version: apiVersion,
    created,
    data: { object, ...(previous && { previous_attributes: previous }) },
    livemode: false,
    request,
    type,
  };
  await db.query('INSERT INTO stripe_events (id, type, created, body) VALUES ($1, $2, $3, $4)', [
    id,
    type,
    created,
    JSON.stringify(body),
  ]);
  await scheduleDelivery(db, id);
  return id;
}

export async function scheduleDelivery(db: Queryable, eventId: string, resend = false): Promise<void> {
  const payload = { eventId, failures: 0, resend };
  await scheduleDue(db, { kind: deliveryKind, key: eventId, at: new Date(), payload });
}

type EventRow = { body: Omit<Event, 'pending_webhooks'>; delivered_at: Date | null };

export async function readEvent(db: Queryable, id: string): Promise<Event> {
  const { rows } = await db.query<EventRow>('SELECT body, delivered_at FROM stripe_events WHERE id = $1', [
    id,
  ]);
  if (!rows[0]) throw resourceMissing('event', id);
  return toEvent(rows[0]);
}

export const eventListParameters = {
  ...pageParameters,
  type: text.optional(),
  types: z.array(text).max(20).optional(),
  delivery_success: boolean.optional(),
  created: createdRange,
};

/** One page of events, newest first. */
export async function listEvents(
  db: Queryable,
  { type, types, delivery_success, created, ...page }: z.output<z.ZodObject<typeof eventListParameters>>,
): Promise<{ data: Event[]; hasMore: boolean }> {
  await checkCursors(db, page);
  const backwards = page.ending_before !== undefined;
  const { rows } = await db.query<EventRow>(
    `SELECT body, delivered_at FROM stripe_events
     WHERE ($1::text[] IS NULL OR type LIKE ANY($1)) AND ($2::boolean IS NULL OR (delivered_at IS NOT NULL) = $2)
       AND created BETWEEN $3 AND $4
       AND ($5::text IS NULL OR number < (SELECT number FROM stripe_events WHERE id = $5))
       AND ($6::text IS NULL OR number > (SELECT number FROM stripe_events WHERE id = $6))
     ORDER BY number ${backwards ? 'ASC' : 'DESC'} LIMIT $7`,
    [
      types ?? (type === undefined ? null : [likePattern(type)]),
      delivery_success,
      created.from,
      created.to,
      page.starting_after,
      page.ending_before,
      page.limit + 1,
    ],
  );
  const data = rows.slice(0, page.limit).map(toEvent);
  return { data: backwards ? data.reverse() : data, hasMore: rows.length > page.limit };
}

async function checkCursors(db: Queryable, page: Page): Promise<void> {
  refuseTwoCursors(page);
  for (const param of ['starting_after', 'ending_before'] as const) {
    const id = page[param];
    const known =
      id === undefined || (await db.query('SELECT 1 FROM stripe_events WHERE id = $1', [id])).rowCount;
    if (!known) throw resourceMissing('event', id, param, 400);
  }
}

function toEvent({ body, delivered_at }: EventRow): Event {
  return { ...body, pending_webhooks: delivered_at === null ? 1 : 0 } as Event;
}

/** `invoice.*` stands for a group. */
function likePattern(type: string): string {
  return type.replace(/[\\%_]/g, '\\$&').replaceAll('*', '%');
}
