import { sql } from 'kysely';
import { findAgent, NoProjectError } from '../agents/store.ts';
import type { PlanRules } from '../config/plans.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { refuseWhileLost, stateLost } from '../database/recovering.ts';
import { cutText, type JsonText, jsonText } from '../database/storable.ts';
import type { StripeEventTable } from '../database/tables.ts';
import { ConflictError } from '../errors.ts';
import { requestOrderedAgent } from '../limits/request-change.ts';
import { queueNotice } from '../notices/queue-notice.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import type { Order } from '../stripe/checkout.ts';
import type { StripeEvent } from '../stripe/event.ts';
import { type BillingDecision, interpretEvent } from './interpret-event.ts';
import { linkFurtherOrder, linkOrder, signalFromEvent } from './signals.ts';

/** In code points; the columns have the same limit. */
const LONGEST_REASON = 4_000;

type StoredOutcome = StripeEventTable['outcome'];

/** The outcome of an event. `known`: it had already been recorded, and nothing was written. */
export interface Outcome {
  outcome: StoredOutcome | 'known';
  reason?: string;
  agentId?: string;
  operationId?: string;
}

const OUTCOMES: Record<BillingDecision['kind'], StoredOutcome> = {
  provision: 'acted',
  attention: 'attention',
  ignore: 'ignored',
};

export interface RecordDeps {
  database: Database;
  queue: Queue;
  clock?: Clock | undefined;
  /** Whether a checkout's metadata may name the plan; default: yes. */
  plans?: Pick<PlanRules, 'metadata'> | undefined;
  /** Whether orders from before this installation are acted on too; default true. */
  actsOnPast?: boolean | undefined;
  /** Whether the price of an order's subscription, read at Stripe, decides its plan; default: no. */
  pricesDecide?: boolean | undefined;
}

/** An order waits this long at most until its price was read, which then hastens it. */
const PRICE_SECONDS = 5;

/**
 * Records an event and its consequences in one transaction: event, order, agent, operation and queued job, or
 * none of them, and the signal to look at its subscription. Copies of the event and other events for the same
 * checkout session may arrive concurrently.
 * @throws InvalidInputError for a malformed event, and any error of the database
 */
export async function recordStripeEvent(
  deps: RecordDeps,
  event: StripeEvent,
  mode: 'sandbox' | 'live',
): Promise<Outcome> {
  const meaning = interpretEvent(event, mode, deps.plans);
  const payload = jsonText(event.payload);
  return deps.database.transaction().execute(async (trx) => {
    const decision = (deps.actsOnPast ?? true) ? meaning : await ignorePast(trx, event, meaning);
    if (!(await insertEvent(trx, event, decision, payload))) return { outcome: 'known' };
    const at = (deps.clock ?? systemClock).now();
    const outcome: Outcome =
      decision.kind === 'ignore'
        ? { outcome: 'ignored', reason: decision.reason }
        : await recordOrder(
            trx,
            { queue: deps.queue, at, pricesDecide: deps.pricesDecide },
            event.id,
            decision,
          );
    // After the order, which links its subscription.
    if (mode === 'sandbox' || event.livemode) await signalFromEvent(trx, event);
    return outcome;
  });
}

/**
 * Inserts the event, and holds its checkout session until the transaction ends: the next statement sees what
 * earlier events of the session wrote. A concurrent copy of the event waits here for the first one's end.
 * @returns false if it was recorded before
 * @throws StateLostError while the agents of a lost database are not known again: an order may be one of
 * theirs. Stripe delivers it again for three days
 */
async function insertEvent(
  trx: Transaction,
  event: StripeEvent,
  decision: BillingDecision,
  payload: JsonText,
): Promise<boolean> {
  const session = 'order' in decision ? [decision.order.sessionId] : [];
  const reason = 'reason' in decision ? cutText(decision.reason, LONGEST_REASON) : null;
  const { numAffectedRows } = await sql`
    with held as materialized (
      select count(pg_advisory_xact_lock(hashtextextended(session, 0))) from unnest(${session}::text[]) session)
    insert into stripe_events (id, type, livemode, object_id, payload, outcome, reason, created_at)
    select ${event.id}, ${event.type}, ${event.livemode}::boolean, ${event.objectId ?? null}::text, ${payload}::jsonb,
      ${OUTCOMES[decision.kind]}, ${reason}::text, ${event.createdAt}::timestamptz from held where not ${stateLost}
    on conflict (id) do nothing`.execute(trx);
  if (numAffectedRows === 0n) await refuseWhileLost(trx);
  return numAffectedRows === 1n;
}

/** An order that was paid before this installation existed was somebody else's to carry out. */
async function ignorePast(
  trx: Transaction,
  event: StripeEvent,
  decision: BillingDecision,
): Promise<BillingDecision> {
  if (decision.kind === 'ignore') return decision;
  const installation = await trx.selectFrom('installation').select('created_at').executeTakeFirst();
  // Stripe counts whole seconds: an order of the installation's first second seems to be older than it.
  if (installation === undefined || event.createdAt >= atSecond(installation.created_at)) return decision;
  const since = installation.created_at.toISOString();
  const reason = `The event is from before this installation (${since}) and is not acted on without BILLING_ACT_ON_PAST`;
  return { kind: 'ignore', reason };
}

const atSecond = (date: Date) => new Date(Math.floor(date.getTime() / 1000) * 1000);

interface Requesting {
  queue: Queue;
  /** The business time. */
  at: Date;
  pricesDecide?: boolean | undefined;
}

async function recordOrder(
  trx: Transaction,
  requesting: Requesting,
  eventId: string,
  decision: Exclude<BillingDecision, { kind: 'ignore' }>,
): Promise<Outcome> {
  const { sessionId } = decision.order;
  const earlier = await trx
    .selectFrom('orders')
    .select(['stripe_event_id', 'agent_id'])
    .where('session_id', '=', sessionId)
    .executeTakeFirst();
  if (earlier !== undefined) {
    const reason = `The order of session ${sessionId} was recorded with event ${earlier.stripe_event_id}`;
    await setOutcome(trx, eventId, 'duplicate', reason);
    return { outcome: 'duplicate', reason, ...(earlier.agent_id ? { agentId: earlier.agent_id } : {}) };
  }
  if (decision.kind === 'attention') {
    // A renewal for an agent that exists may lack what only a new one needs, such as a region.
    await linkFurtherOrder(trx, decision.order);
    return needsAttention(trx, eventId, decision.order, decision.reason);
  }
  return provision(trx, requesting, eventId, decision);
}

async function provision(
  trx: Transaction,
  { queue, at, pricesDecide = false }: Requesting,
  eventId: string,
  { order, agent }: Extract<BillingDecision, { kind: 'provision' }>,
): Promise<Outcome> {
  try {
    const delaySeconds = pricesDecide && order.subscriptionId !== undefined ? PRICE_SECONDS : 0;
    const request = { agent, actor: 'stripe', stripeEventId: eventId, at, delaySeconds };
    const outcome = await requestOrderedAgent(trx, queue, request);
    const { agentId } = agent;
    await insertOrder(trx, eventId, order, { agentId });
    await linkOrder(trx, order, agentId);
    if ('heldBy' in outcome)
      return { outcome: 'acted', agentId, reason: `It waits for the breaker ${outcome.heldBy}` };
    return { outcome: 'acted', agentId, operationId: outcome.operation.operation_id };
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    const existing = await findAgent(trx, agent.agentId);
    const reason =
      error instanceof NoProjectError
        ? error.message
        : existing?.status === 'destroyed'
          ? `metadata.agentId ${agent.agentId} belonged to an agent that is destroyed; an id is never used again`
          : `metadata.agentId ${agent.agentId} belongs to an agent that exists already`;
    await setOutcome(trx, eventId, 'attention', reason);
    await linkFurtherOrder(trx, order);
    return needsAttention(trx, eventId, order, reason);
  }
}

async function needsAttention(
  trx: Transaction,
  eventId: string,
  order: Order,
  reason: string,
): Promise<Outcome> {
  await insertOrder(trx, eventId, order, { attention: cutText(reason, LONGEST_REASON) });
  const { sessionId, subscriptionId, customerId } = order;
  await queueNotice(trx, {
    type: 'order.attention',
    key: `order.attention ${sessionId}`,
    data: { sessionId, reason, subscriptionId, customerId },
  });
  return { outcome: 'attention', reason };
}

async function insertOrder(
  trx: Transaction,
  eventId: string,
  order: Order,
  result: { agentId: string } | { attention: string },
): Promise<void> {
  await trx
    .insertInto('orders')
    .values({
      session_id: order.sessionId,
      stripe_event_id: eventId,
      agent_id: 'agentId' in result ? result.agentId : null,
      attention: 'attention' in result ? result.attention : null,
      subscription_id: order.subscriptionId ?? null,
      customer_id: order.customerId ?? null,
      metadata: jsonText(order.metadata),
    })
    .execute();
}

async function setOutcome(
  trx: Transaction,
  eventId: string,
  outcome: StoredOutcome,
  reason: string,
): Promise<void> {
  await trx.updateTable('stripe_events').set({ outcome, reason }).where('id', '=', eventId).execute();
}
