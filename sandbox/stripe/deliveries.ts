import { createHmac } from 'node:crypto';
import { sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { type DueHandler, scheduleDue } from '../due.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { type Fate, readFate } from './delivery-faults.ts';
import { DELIVERY_KIND, readEvent, scheduleDelivery } from './events.ts';
import type { Event } from './wire.ts';

const TIMEOUT_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;
const GIVE_UP_AFTER_MS = 3 * 24 * 3600 * 1000;

interface DeliveryDeps {
  database: SandboxDatabase;
  tokens: SandboxTokens;
  settings: SandboxSettings;
  /** Where all events go, including undelivered ones of an earlier start. */
  webhookUrl: string;
  /** Aborts tries when the sandbox stops; the next start repeats them. */
  signal: AbortSignal;
}

/** The payload of the due work. */
interface DeliveryWork {
  eventId: string;
  failures: number;
  /** Whether it is sent although it was delivered before. */
  resend: boolean;
  /** Whether an ordered delay is over. */
  isLate?: boolean;
}

interface Outcome {
  status: number | null;
  error: string | null;
}

const LOST: Outcome = { status: null, error: 'Lost on its way, as ordered' };

/**
 * Delivers events to the webhook until it answers 2xx, with exponential backoff, for three days at most.
 * The due loop never runs the work of one key twice at once, so the tries of one event do not overlap.
 */
export function createDeliveryHandlers(deps: DeliveryDeps): Record<string, DueHandler> {
  return {
    [DELIVERY_KIND]: async (work: DeliveryWork) => {
      const { eventId, failures, resend } = work;
      const event = await readEvent(deps.database, eventId);
      if (event.pending_webhooks === 0 && !resend) return;
      // What is sent again on request arrives.
      const fate = resend ? undefined : await readFate(deps.database, eventId);
      if (fate !== undefined && (await isHeldUp(deps, work, fate))) return;
      const outcome = await post(deps, event);
      deps.signal.throwIfAborted();
      if (outcome.error === null) {
        await recordDelivery(deps.database, eventId, deps.webhookUrl, outcome);
        if (fate?.isDoubled) await scheduleDelivery(deps.database, eventId, true);
        return;
      }
      await deps.database.transaction().execute(async (trx) => {
        await insertTry(trx, eventId, deps.webhookUrl, outcome).execute();
        if (await mayTryAgain(trx, event)) await scheduleNextTry(trx, eventId, failures + 1, deps.settings);
      });
    },
  };
}

/** Loses or delays an event as ordered. @returns whether it is not delivered now */
async function isHeldUp(
  { database, webhookUrl }: DeliveryDeps,
  work: DeliveryWork,
  { isLost, delayMs }: Fate,
): Promise<boolean> {
  const { eventId } = work;
  if (isLost) {
    await database
      .insertInto('stripe_deliveries')
      .values(toTry(eventId, webhookUrl, LOST))
      .execute();
    return true;
  }
  if (delayMs === 0 || work.isLate) return false;
  const payload: DeliveryWork = { ...work, isLate: true };
  await scheduleDue(database, {
    kind: DELIVERY_KIND,
    key: eventId,
    at: new Date(Date.now() + delayMs),
    payload,
  });
  return true;
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

/** Schedules all undelivered events for now at a start, regardless of their backoff. */
export async function resumeDeliveries(database: SandboxDatabase): Promise<void> {
  const rows = await database
    .selectFrom('stripe_events')
    .select('id')
    .where('delivered_at', 'is', null)
    .where('stored_at', '>', new Date(Date.now() - GIVE_UP_AFTER_MS))
    .orderBy('number')
    .execute();
  for (const { id } of rows) await scheduleDelivery(database, id);
}

/** Returns Stripe's signature header `t=…,v1=…`: HMAC-SHA256 with the whole secret over time and body. */
export function toSignatureHeader(secret: string, body: string, timestampSeconds: number): string {
  const signature = createHmac('sha256', secret).update(`${timestampSeconds}.${body}`).digest('hex');
  return `t=${timestampSeconds},v1=${signature}`;
}

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

async function post({ tokens, webhookUrl, signal }: DeliveryDeps, event: Event): Promise<Outcome> {
  const body = JSON.stringify({ ...event, pending_webhooks: 1 }, undefined, 2);
  // Signs each try with the real time, whatever the sandbox's clock says: receivers refuse signatures older
  // than five minutes.
  const signature = toSignatureHeader(tokens.stripeWebhookSecret, body, Math.floor(Date.now() / 1000));
  try {
    const response = await fetch(webhookUrl, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json; charset=utf-8',
        'Stripe-Signature': signature,
        'User-Agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    const error = response.ok ? null : `The webhook answered ${response.status}`;
    return { status: response.status, error };
  } catch (error) {
    return { status: null, error: describe(error) };
  }
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `No answer within ${TIMEOUT_MS / 1000} s`;
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

async function mayTryAgain(trx: SandboxTransaction, event: Event): Promise<boolean> {
  if (event.pending_webhooks === 0) return false;
  const { stored_at } = await trx
    .selectFrom('stripe_events')
    .select('stored_at')
    .where('id', '=', event.id)
    .executeTakeFirstOrThrow();
  return Date.now() - stored_at.getTime() < GIVE_UP_AFTER_MS;
}

/** Records the try that succeeded and that the event is delivered, in one statement. */
async function recordDelivery(
  database: SandboxDatabase,
  eventId: string,
  url: string,
  outcome: Outcome,
): Promise<void> {
  await database
    .with('delivered', (db) =>
      db
        .updateTable('stripe_events')
        .set({ delivered_at: new Date() })
        .where('id', '=', eventId)
        .where('delivered_at', 'is', null)
        .returning('id'),
    )
    .insertInto('stripe_deliveries')
    .values(toTry(eventId, url, outcome))
    .execute();
}

function insertTry(trx: SandboxTransaction, eventId: string, url: string, outcome: Outcome) {
  return trx.insertInto('stripe_deliveries').values(toTry(eventId, url, outcome));
}

/** The next number of a try is one more than the tries so far. */
function toTry(event_id: string, url: string, outcome: Outcome) {
  const next = sql<number>`(select count(*) + 1 from stripe_deliveries where event_id = ${event_id})`;
  return { event_id, try: next, at: new Date(), url, ...outcome };
}

async function scheduleNextTry(
  trx: SandboxTransaction,
  eventId: string,
  failures: number,
  { webhookRetryMs }: SandboxSettings,
): Promise<void> {
  const pauseMs = Math.min(webhookRetryMs * 2 ** (failures - 1), LONGEST_PAUSE_MS);
  await scheduleDue(trx, {
    kind: DELIVERY_KIND,
    key: eventId,
    at: new Date(Date.now() + pauseMs),
    payload: { eventId, failures, resend: false, isLate: true } satisfies DeliveryWork,
  });
}
