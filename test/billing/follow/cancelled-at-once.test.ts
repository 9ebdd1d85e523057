import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createStillWanted } from '../../../src/billing/follow/still-wanted.ts';
import { createPolicy } from '../../../src/billing/policy.ts';
import { DEFAULT_DURATIONS } from '../../../src/config/billing.ts';
import type { NoticeType } from '../../../src/database/vocabulary.ts';
import { releaseHeld } from '../../../src/limits/release.ts';
import { type BillingFixture, DAY, START, startBilling } from '../../support/billing-fixture.ts';

/**
 * `CANCELLED_AT_ONCE=500` takes half a minute; test/limits has that many rows every time. Below 125 the share
 * of the fleet, and no longer the number, would be the limit.
 */
const FLEET = Number(process.env.CANCELLED_AT_ONCE ?? 130);
const AN_HOUR = 1 / 24;
/** Stripe delivers many events at once. */
const AT_ONCE = 10;

let at: BillingFixture;
beforeAll(async () => {
  // A grace of a day, so that there is one announcement.
  at = await startBilling({ policy: createPolicy({ ...DEFAULT_DURATIONS, cancelGraceMs: DAY }) });
});
afterAll(() => at.stop());
beforeEach(() => at.reset());

const database = () => at.deps.database;

/**
 * Agents a1, a2, … with a subscription each, switched off for want of payment: to switch them off one by
 * one would only take time here.
 */
async function addFleet(): Promise<void> {
  await sql`insert into agents (agent_id, user_id, region, location, plan, status, server_id, tailnet_ip,
      inputs)
    select 'a' || n, 'u1', 'eu-central', 'nbg1', 'starter', 'suspended', n::text,
      '100.64.' || n / 250 || '.' || n % 250, '{"serverType": "cx23"}'
    from generate_series(1, ${FLEET}::int) n`.execute(database());
  await sql`insert into holds (agent_id, reason, since, by_whom)
    select agent_id, 'payment', ${new Date(START.getTime() - DAY)}, 'billing' from agents`.execute(
    database(),
  );
  await sql`insert into subscriptions (subscription_id, agent_id, customer_id, signals, seen_signals)
    select 'sub_' || n, 'a' || n, 'cus_sub_' || n, 1, 1
    from generate_series(1, ${FLEET}::int) n`.execute(database());
  // The default limits.
  await sql`update breakers set limit_count = 5, limit_percent = 5, limit_least = 1
    where name = 'destroys'`.execute(database());
}

/** Every owner cancels now, and Stripe says so with an event each. */
async function cancelAll(): Promise<void> {
  const ids = Array.from({ length: FLEET }, (_, n) => `sub_${n + 1}`);
  for (const id of ids) {
    at.stripe.subscribe(id);
    at.stripe.cancel(id, at.now());
  }
  const deliver = async () => {
    for (let id = ids.shift(); id !== undefined; id = ids.shift())
      await at.tell('customer.subscription.deleted', { id, status: 'canceled' }, `evt_${id}`);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, deliver));
}

/** What every worker does besides: lets go what a person has approved. @returns how many went */
async function release(): Promise<number> {
  const released = await releaseHeld({ ...at.deps, stillWanted: createStillWanted(at.deps) });
  await at.settle();
  return released;
}

async function countAgents(status: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from agents where status = ${status}`.execute(database());
  return rows[0]!.count;
}

const notices = (type: NoticeType) =>
  database().selectFrom('notices').select('data').where('type', '=', type).execute();
const trips = async () => (await notices('breaker.tripped')).map(({ data }) => data.breaker);

test('many subscriptions cancelled at once: five agents are destroyed, then a person decides, at the allowed rate', async () => {
  await addFleet();
  await cancelAll();
  await at.settle();
  expect(await notices('agent.will_delete')).toHaveLength(FLEET);

  // What was announced falls due for all of them in the same moment.
  await at.jump(1);
  expect(await countAgents('destroyed')).toBe(5);
  expect(await trips()).toEqual(['destroys']);

  // Time alone lets no further one go.
  await at.jump(2 * AN_HOUR);
  expect(await release()).toBe(0);
  expect(await countAgents('destroyed')).toBe(5);

  const approved = await at.service.ask('/api/breakers/destroys/approve', { json: {} });
  expect(await approved.json()).toMatchObject({ name: 'destroys', waiting: FLEET - 5 });
  const went: number[] = [];
  for (let hour = 0; hour < 4; hour += 1) {
    went.push(await release());
    await at.jump(AN_HOUR / 2);
    went.push(await release());
    await at.jump(AN_HOUR / 2);
  }
  expect(went).toEqual([5, 0, 5, 0, 5, 0, 5, 0]);
  expect(await countAgents('destroyed')).toBe(25);
  expect(await countAgents('suspended')).toBe(FLEET - 25);
  expect(await trips()).toEqual(['destroys']);
}, 120_000);
