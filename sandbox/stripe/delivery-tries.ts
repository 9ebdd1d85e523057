import { sql } from 'kysely';
import type { SandboxDatabase } from '../database.ts';
import { DELIVERY_KIND } from './events.ts';
import type { Outcome } from './post-event.ts';

export interface Delivery {
  eventId: string;
  type: string;
  try: number;
  at: Date;
  url: string;
  status: number | null;
  error: string | null;
}

/** Lists delivery tries of one event or of all, newest first. */
export async function listDeliveries(
  database: SandboxDatabase,
  { eventId, limit }: { eventId?: string | undefined; limit: number },
): Promise<Delivery[]> {
  return database
    .selectFrom('stripe_deliveries')
    .innerJoin('stripe_events', 'stripe_events.id', 'event_id')
    .select(['event_id as eventId', 'type', 'try', 'at', 'url', 'status', 'error'])
    .$if(eventId !== undefined, (tries) => tries.where('event_id', '=', eventId!))
    .orderBy('at', 'desc')
    .orderBy('try', 'desc')
    .limit(limit)
    .execute();
}

/** Counts the events on their way: to be delivered, or to be tried again. */
export async function countOnTheirWay(database: SandboxDatabase): Promise<number> {
  const { count } = await database
    .selectFrom('due')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('kind', '=', DELIVERY_KIND)
    .executeTakeFirstOrThrow();
  return Number(count);
}

/** Records the tries that succeeded and that the event is delivered, in one statement. */
export async function recordDelivery(
  database: SandboxDatabase,
  eventId: string,
  outcomes: readonly Outcome[],
): Promise<void> {
  const delivered = database
    .updateTable('stripe_events')
    .set({ delivered_at: new Date() })
    .where('id', '=', eventId)
    .where('delivered_at', 'is', null)
    .returning('id');
  if (outcomes.length === 0) await delivered.execute();
  else
    await database
      .with('delivered', () => delivered)
      .insertInto('stripe_deliveries')
      .values(toTries(eventId, outcomes))
      .execute();
}

/** The next number of a try is one more than the tries so far. */
export function toTries(event_id: string, outcomes: readonly Outcome[]) {
  const soFar = sql<number>`(select count(*) from stripe_deliveries where event_id = ${event_id})`;
  return outcomes.map((outcome, at) => ({
    event_id,
    try: sql<number>`${soFar} + ${at + 1}::int`,
    at: new Date(),
    ...outcome,
  }));
}
