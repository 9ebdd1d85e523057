import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import { expect } from 'vitest';
import { getAgent } from '../../src/agents/store.ts';
import type { FollowDeps } from '../../src/billing/follow/deps.ts';
import { lookAtDue } from '../../src/billing/follow/follower.ts';
import { createLastCheck } from '../../src/billing/follow/last-check.ts';
import { createPolicy } from '../../src/billing/policy.ts';
import { DEFAULT_DURATIONS } from '../../src/config/billing.ts';
import type { Database } from '../../src/database/connect.ts';
import { runAttempt } from '../../src/executors/worker/attempt.ts';
import type { Runbooks } from '../../src/operations/attempt.ts';
import { claimNext } from '../../src/operations/claims.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { startService, type TestService } from './http-service.ts';
import { OUTPUTS } from './operations-fixture.ts';
import { ScriptedStripe } from './scripted-stripe.ts';
import { deliver, paidCheckout } from './stripe-events.ts';

export const DAY = 24 * 3_600_000;
/** When every test begins. */
export const START = new Date('2027-01-01T00:00:00Z');

const PLANS = { ofPrice: { price_starter: 'starter', price_pro: 'pro', price_max: 'max' } } as const;

/** A service with a scripted Stripe, a clock that the test moves, and runbooks that succeed at once. */
export interface BillingFixture {
  service: TestService;
  stripe: ScriptedStripe;
  deps: FollowDeps;
  runbooks: Runbooks;
  now(): Date;
  /** Removes what earlier tests left, and sets the clock back. */
  reset(): Promise<void>;
  /** Delivers a signed event about an object of Stripe's. */
  tell(type: string, object: Record<string, unknown>, id?: string): Promise<void>;
  /** A customer buys an agent, which then runs. */
  buy(agentId: string, subscription: string, fields?: Record<string, unknown>): Promise<void>;
  /** Looks at what is due and runs what is queued until nothing is left to do. */
  settle(): Promise<void>;
  /** Runs what is queued. */
  work(): Promise<number>;
  /** Moves the clock, stops at every time at which something falls due, and settles there. */
  pass(days: number): Promise<void>;
  /** Moves the clock and settles only there, as after a time in which the service was away. */
  jump(days: number): Promise<void>;
  status(agentId: string): Promise<string>;
  /** The agent's operations of a kind, oldest first. */
  operations(agentId: string, kind: string): Promise<{ status: string; at: Date | null }[]>;
  findings(): Promise<{ class: string; agent_id: string | null; cause: string; cure: string }[]>;
  stop(): Promise<void>;
}

let addresses = 0;

export async function startBilling(overrides: Partial<FollowDeps> = {}): Promise<BillingFixture> {
  let at = START;
  const clock = { now: () => at };
  const service = await startService({ clock });
  const stripe = await ScriptedStripe.start();
  const { database, queue, log } = service.deps;
  const deps: FollowDeps = {
    database,
    queue,
    log,
    clock,
    stripe: stripe.account,
    policy: createPolicy(DEFAULT_DURATIONS, PLANS),
    billing: 'act',
    actsOnPast: true,
    onDestroy: 'flag',
    events: 'sandbox',
    ...overrides,
  };
  const runbooks = succeedingRunbooks();
  const fixture: BillingFixture = {
    service,
    stripe,
    deps,
    runbooks,
    now: () => at,
    reset: async () => {
      await sql`truncate agents, stripe_events, findings, notices, billing_runs, audit_log, changes, held_changes,
        installation
        cascade`.execute(database);
      await sql`update breakers set tripped_at = null, cause = null, approved_at = null,
        limit_count = 1000, limit_percent = null, limit_least = null where name <> 'spend'`.execute(database);
      stripe.clear();
      Object.assign(runbooks, succeedingRunbooks());
      Object.assign(deps, { billing: 'act', actsOnPast: true, onDestroy: 'flag', ...overrides });
      at = START;
    },
    tell: async (type, object, id = `evt_${randomUUID()}`) => {
      const created = Math.floor(at.getTime() / 1000);
      const event = { id, object: 'event', type, created, livemode: false, data: { object } };
      expect(await deliver(service.url, event)).toMatchObject({ status: 200 });
    },
    buy: async (agentId, subscription, fields = {}) => {
      stripe.subscribe(subscription, fields);
      const customer = stripe.subscriptions.get(subscription)?.customer;
      const session = { subscription, customer };
      expect(await deliver(service.url, paidCheckout({ agentId }, { session }))).toMatchObject({
        status: 200,
      });
      await fixture.settle();
    },
    settle: async () => {
      for (let round = 0; round < 50; round += 1) {
        const looks = await lookAtDue(deps);
        if ((await fixture.work()) + looks.filter((look) => look !== 'postponed').length === 0) return;
      }
      throw new Error('It does not come to rest');
    },
    work: () => runQueued(fixture),
    pass: async (days) => {
      const end = new Date(at.getTime() + days * DAY);
      await fixture.settle();
      while (at < end) {
        const next = await nextDue(database, at);
        at = next === undefined || next > end ? end : next;
        await fixture.settle();
      }
    },
    jump: async (days) => {
      at = new Date(at.getTime() + days * DAY);
      await fixture.settle();
    },
    status: async (agentId) => (await getAgent(database, agentId)).status,
    operations: (agentId, kind) =>
      database
        .selectFrom('operations as o')
        .leftJoin('changes as c', 'c.operation_id', 'o.operation_id')
        .select(['o.status', 'c.at'])
        .where('o.agent_id', '=', agentId)
        .where('o.kind', '=', kind)
        .orderBy('o.sequence')
        .execute(),
    findings: () =>
      database.selectFrom('findings').select(['class', 'agent_id', 'cause', 'cure']).orderBy('key').execute(),
    stop: async () => {
      await service.stop();
      await stripe.stop();
    },
  };
  return fixture;
}

/** The next time at which a subscription has to be looked at without any news. */
async function nextDue(database: Database, after: Date): Promise<Date | undefined> {
  const row = await database
    .selectFrom('subscriptions')
    .select('next_at')
    .where('next_at', '>', after)
    .orderBy('next_at')
    .limit(1)
    .executeTakeFirst();
  return row?.next_at ?? undefined;
}

async function runQueued({ deps, runbooks }: BillingFixture): Promise<number> {
  const { database, queue, log } = deps;
  const attempt = {
    database,
    queue,
    log,
    runbooks,
    fence: noFence(new Secret('postgres://state')),
    isStillWanted: createLastCheck(deps),
    retrySeconds: 0,
  };
  for (let count = 0; ; count += 1) {
    const operation = await claimNext(database, 'w1');
    if (operation === undefined) return count;
    await runAttempt(attempt, operation, 'w1', new AbortController().signal);
  }
}

function succeedingRunbooks(): Runbooks {
  const outputs = () => {
    addresses += 1;
    const tailnetIp = `100.64.${Math.floor(addresses / 250)}.${(addresses % 250) + 1}`;
    return { ...OUTPUTS, serverId: String(addresses), tailnetIp };
  };
  return {
    provision: async () => ({ kind: 'running', outputs: outputs() }),
    suspend: async () => ({ kind: 'suspended' }),
    resume: async () => ({ kind: 'resumed' }),
    destroy: async () => ({ kind: 'destroyed' }),
    resize: async ({ operation }) => ({
      kind: 'resized',
      outputs: outputs(),
      plan: String(operation.parameters.plan),
    }),
  };
}
