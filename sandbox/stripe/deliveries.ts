import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { type DueHandler, scheduleDue } from '../due.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { type Fate, readFate } from './delivery-faults.ts';
import { recordDelivery, toTries } from './delivery-tries.ts';
import { DELIVERY_KIND, readEvent, scheduleDelivery } from './events.ts';
import { postEvent } from './post-event.ts';
import { listTargets, type Target } from './webhook-endpoints.ts';
import type { Event } from './wire.ts';

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
      const outcomes = await Promise.all(targets.map((target) => postEvent(event, target, deps.signal)));
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

async function mayTryAgain(trx: SandboxTransaction, event: Event): Promise<boolean> {
  if (event.pending_webhooks === 0) return false;
  const { stored_at } = await trx
    .selectFrom('stripe_events')
    .select('stored_at')
    .where('id', '=', event.id)
    .executeTakeFirstOrThrow();
  return Date.now() - stored_at.getTime() < GIVE_UP_AFTER_MS;
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
