import { createHmac } from 'node:crypto';
import { inTransaction, poolBehind, type Queryable, type SandboxDatabase } from '../database.ts';
import { type DueHandler, scheduleDue } from '../due.ts';
import type { SandboxSettings } from '../settings.ts';
import type { SandboxTokens } from '../tokens.ts';
import { deliveryKind, readEvent, scheduleDelivery } from './events.ts';
import type { Event } from './wire.ts';

const timeoutMs = 10_000;
const longestPauseMs = 60_000;
const giveUpAfterSeconds = 3 * 24 * 3600;

type DeliveryDeps = {
  database: SandboxDatabase;
  tokens: SandboxTokens;
  settings: SandboxSettings;
  /** Where events go from now on, also those of an earlier start. */
  webhookUrl: string;
  /** Cuts tries short when the sandbox ends; they are repeated at the next start. */
  signal: AbortSignal;
};

type Outcome = { status: number | null; error: string | null };

/**
 * Brings events to the webhook until it answers 2xx, with doubling pauses, for three days at most.
 * The due loop never runs two pieces of work of one key at once, so the tries of one event do not overlap.
 */
export function createDeliveryHandlers(deps: DeliveryDeps): Record<string, DueHandler> {
  return {
    [deliveryKind]: async ({ eventId, failures, resend }) => {
      const event = await readEvent(poolBehind(deps.database), eventId);
      if (event.pending_webhooks === 0 && !resend) return;
      const outcome = await post(deps, event);
      deps.signal.throwIfAborted();
      await inTransaction(poolBehind(deps.database), async (client) => {
        await recordTry(client, eventId, deps.webhookUrl, outcome);
        if (outcome.error === null) await markDelivered(client, eventId);
        else if (mayTryAgain(event)) await scheduleNextTry(client, eventId, failures + 1, deps.settings);
      });
    },
  };
}

/** At a start: what is undelivered goes out at once, however long its pause would have been. */
export async function resumeDeliveries(database: SandboxDatabase): Promise<void> {
  const pool = poolBehind(database);
  const { rows } = await pool.query<{ id: string }>(
    'SELECT id FROM stripe_events WHERE delivered_at IS NULL AND created > $1 ORDER BY number',
    [Math.floor(Date.now() / 1000) - giveUpAfterSeconds],
  );
  for (const { id } of rows) await scheduleDelivery(pool, id);
}

/** `t=…,v1=…`, as Stripe signs: HMAC-SHA256 with the secret's whole text over the time and the body. */
export function signatureHeader(secret: string, body: string, timestampSeconds: number): string {
  const signature = createHmac('sha256', secret).update(`${timestampSeconds}.${body}`).digest('hex');
  return `t=${timestampSeconds},v1=${signature}`;
}

export type Delivery = {
  eventId: string;
  type: string;
  try: number;
  at: Date;
  url: string;
  status: number | null;
  error: string | null;
};

/** Tries at deliveries, newest first; of one event, or of all. */
export async function listDeliveries(
  db: Queryable,
  { eventId, limit }: { eventId?: string | undefined; limit: number },
): Promise<Delivery[]> {
  const { rows } = await db.query<Delivery>(
    `SELECT event_id AS "eventId", type, try, at, url, status, error
     FROM stripe_deliveries JOIN stripe_events ON stripe_events.id = event_id
     WHERE $1::text IS NULL OR event_id = $1 ORDER BY at DESC, try DESC LIMIT $2`,
    [eventId, limit],
  );
  return rows;
}

async function post({ tokens, webhookUrl, signal }: DeliveryDeps, event: Event): Promise<Outcome> {
  const body = JSON.stringify({ ...event, pending_webhooks: 1 }, undefined, 2);
  // A fresh time at each try: receivers refuse signatures older than five minutes.
  const signature = signatureHeader(tokens.stripeWebhookSecret, body, Math.floor(Date.now() / 1000));
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
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
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
  if (error.name === 'TimeoutError') return `No answer within ${timeoutMs / 1000} s`;
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function mayTryAgain(event: Event): boolean {
  const ageSeconds = Date.now() / 1000 - event.created;
  return event.pending_webhooks > 0 && ageSeconds < giveUpAfterSeconds;
}

async function recordTry(db: Queryable, eventId: string, url: string, outcome: Outcome): Promise<void> {
  await db.query(
    `INSERT INTO stripe_deliveries (event_id, try, at, url, status, error)
     SELECT $1, count(*) + 1, $2, $3, $4, $5 FROM stripe_deliveries WHERE event_id = $1`,
    [eventId, new Date(), url, outcome.status, outcome.error],
  );
}

async function markDelivered(db: Queryable, eventId: string): Promise<void> {
  await db.query('UPDATE stripe_events SET delivered_at = $2 WHERE id = $1 AND delivered_at IS NULL', [
    eventId,
    new Date(),
  ]);
}

async function scheduleNextTry(
  db: Queryable,
  eventId: string,
  failures: number,
  { webhookRetryMs }: SandboxSettings,
): Promise<void> {
  const pauseMs = Math.min(webhookRetryMs * 2 ** (failures - 1), longestPauseMs);
  await scheduleDue(db, {
    kind: deliveryKind,
    key: eventId,
    at: new Date(Date.now() + pauseMs),
    payload: { eventId, failures, resend: false },
  });
}
