import { createHmac } from 'node:crypto';
import { sql } from 'kysely';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { type DueHandler, scheduleDue } from '../due.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { type Fate, readFate } from './delivery-faults.ts';
import { DELIVERY_KIND, readEvent, scheduleDelivery } from './events.ts';
import { listTargets, type Target } from './webhook-endpoints.ts';
import type { Event } from './wire.ts';

const TIMEOUT_MS = 10_000;
const LONGEST_PAUSE_MS = 60_000;
const GIVE_UP_AFTER_MS = 3 * 24 * 3600 * 1000;

interface DeliveryDeps {
  database: SandboxDatabase;
  tokens: SandboxTokens;
  settings: SandboxSettings;
  /** The sandbox's own endpoint, which gets all events, unless the settings say otherwise. */
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

/** What became of one try at one endpoint. */
interface Outcome {
  endpoint: string;
  url: string;
  status: number | null;
  error: string | null;
}

const LOST = { status: null, error: 'Lost on its way, as ordered' };

/**
 * Delivers events to every endpoint until it answers 2xx, with exponential backoff, for three days at most.
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
      const targets = await listOpenTargets(deps, event, resend);
      const outcomes = await Promise.all(targets.map((target) => post(deps, event, target)));
      deps.signal.throwIfAborted();
      if (outcomes.every(({ error }) => error === null)) {
        await recordDelivery(deps.database, eventId, outcomes);
        if (fate?.isDoubled) await scheduleDelivery(deps.database, eventId, true);
        return;
      }
      await deps.database.transaction().execute(async (trx) => {
        await trx.insertInto('stripe_deliveries').values(toTries(eventId, outcomes)).execute();
        if (await mayTryAgain(trx, event)) await scheduleNextTry(trx, eventId, failures + 1, deps.settings);
      });
    },
  };
}

/** Lists the endpoints that have not taken the event yet; with `resend`, all of them. */
async function listOpenTargets(deps: DeliveryDeps, event: Event, resend: boolean): Promise<Target[]> {
  const { database, settings, tokens, webhookUrl } = deps;
  const own = { endpoint: '', url: webhookUrl, secret: tokens.stripeWebhookSecret };
  const targets = [...(settings.ownWebhook ? [own] : []), ...(await listTargets(database, event.type))];
  // Most events have one target and are delivered at the first try: nothing has to be looked up.
  if (resend || targets.length < 2) return targets;
  const taken = await database
    .selectFrom('stripe_deliveries')
    .select('endpoint')
    .where('event_id', '=', event.id)
    .where('error', 'is', null)
    .execute();
  return targets.filter(({ endpoint }) => !taken.some((one) => one.endpoint === endpoint));
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
      .values(toTries(eventId, [{ endpoint: '', url: webhookUrl, ...LOST }]))
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

async function post(
  { signal }: DeliveryDeps,
  event: Event,
  { endpoint, url, secret }: Target,
): Promise<Outcome> {
  const body = JSON.stringify({ ...event, pending_webhooks: 1 }, undefined, 2);
  // Signs each try with the real time, whatever the sandbox's clock says: receivers refuse signatures older
  // than five minutes.
  const signature = toSignatureHeader(secret, body, Math.floor(Date.now() / 1000));
  try {
    const response = await fetch(url, {
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
    return { endpoint, url, status: response.status, error };
  } catch (error) {
    return { endpoint, url, status: null, error: describe(error) };
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

/** Records the tries that succeeded and that the event is delivered, in one statement. */
async function recordDelivery(
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
function toTries(event_id: string, outcomes: readonly Outcome[]) {
  const soFar = sql<number>`(select count(*) from stripe_deliveries where event_id = ${event_id})`;
  return outcomes.map((outcome, at) => ({
    event_id,
    try: sql<number>`${soFar} + ${at + 1}::int`,
    at: new Date(),
    ...outcome,
  }));
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
