import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { NO_POOL } from '../../src/config/pool.ts';
import { RetryableError } from '../../src/errors.ts';
import { applyLimits } from '../../src/limits/apply-limits.ts';
import { requestOrderedAgent } from '../../src/limits/request-change.ts';
import { insertOperation } from '../../src/operations/requests.ts';
import { checkSlots } from '../../src/pool/check-slots.ts';
import { fingerprintFor } from '../../src/pool/fingerprint.ts';
import { type KeeperDeps, startPoolKeeper } from '../../src/pool/keeper.ts';
import { planSlots } from '../../src/pool/plan-slots.ts';
import { systemClock } from '../../src/processes/clock.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { Secret } from '../../src/secret.ts';
import { recordDemands, type WantedPool, withdrawDemands } from '../../src/slots/demands.ts';
import { renewSlotLease, takeSlotWork } from '../../src/slots/slots.ts';
import { claim, type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { createRunbookFixture, type RunbookFixture } from '../support/runbook-fixture.ts';
import { addPool, addSlot, FINGERPRINT, slot } from '../support/slots.ts';

const WAIT = { timeout: 20_000 };
let at: OperationsFixture;
let fixture: RunbookFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('changes').execute();
  await applyLimits(at.database, DEFAULT_LIMITS, {});
  fixture = createRunbookFixture(at);
});

const wanted = (size: number, fingerprint = FINGERPRINT) => [
  { project: 'default', location: 'nbg1', plan: 'starter', size, fingerprint },
];
async function planAs(workerId: string, pools: WantedPool[], eurosPerHour?: number) {
  await recordDemands(at.database, workerId, pools, eurosPerHour);
  return planSlots(at.database);
}
const plan = (size: number, fingerprint?: string, eurosPerHour?: number, workerId = 'w1') =>
  planAs(workerId, wanted(size, fingerprint), eurosPerHour);
const statuses = async () =>
  (await at.database.selectFrom('slots').select('status').orderBy('status').execute()).map(
    (row) => row.status,
  );
const pool = () => at.database.selectFrom('pools').selectAll().executeTakeFirstOrThrow();

describe('a pool', () => {
  test('is filled up to its size, and not further', async () => {
    await addSlot(at, fixture.vault);
    expect(await plan(3)).toEqual({ retired: 0, added: 2 });
    expect(await plan(3)).toEqual({ retired: 0, added: 0 });
    expect(await statuses()).toEqual(['making', 'making', 'ready']);
  });

  test('that is no longer wanted is emptied', async () => {
    await addSlot(at, fixture.vault);
    await plan(1);
    await planAs('w1', []);
    expect(await statuses()).toEqual(['removing']);
    expect((await pool()).size).toBe(0);
  });

  test('loses its oldest slots when it becomes smaller', async () => {
    const old = await addSlot(at, fixture.vault);
    await at.database.updateTable('slots').set({ created_at: sql`now() - interval '1 hour'` }).execute();
    const young = await addSlot(at, fixture.vault);
    expect(await plan(1)).toEqual({ retired: 1, added: 0 });
    expect([(await slot(at, old)).status, (await slot(at, young)).status]).toEqual(['removing', 'ready']);
  });

  test('replaces its slots when the playbook changes', async () => {
    await addSlot(at, fixture.vault);
    expect(await plan(1, 'another')).toEqual({ retired: 1, added: 1 });
    expect(await statuses()).toEqual(['making', 'removing']);
  });

  test('is what any live worker wants, and no worker retires what another one wants', async () => {
    const mine = await addSlot(at, fixture.vault);
    await plan(1);
    await planAs('w2', []);
    expect((await slot(at, mine)).status).toBe('ready');
    expect((await pool()).size).toBe(1);
  });

  test('keeps the slots of the old release until its last worker is gone, and makes only the newest', async () => {
    const old = await addSlot(at, fixture.vault);
    await plan(1);
    // A worker of the new release starts beside the old one, which goes on looking.
    expect(await plan(1, 'the next', undefined, 'w2')).toEqual({ retired: 0, added: 1 });
    expect(await plan(1)).toEqual({ retired: 0, added: 0 });
    expect(await pool()).toMatchObject({ fingerprint: 'the next' });
    // Another one of the old release starts again: that makes it no newer.
    expect(await plan(1, FINGERPRINT, undefined, 'w3')).toEqual({ retired: 0, added: 0 });
    expect(await pool()).toMatchObject({ fingerprint: 'the next' });
    await withdrawDemands(at.database, 'w1');
    await withdrawDemands(at.database, 'w3');
    expect(await plan(1, 'the next', undefined, 'w2')).toEqual({ retired: 1, added: 0 });
    expect((await slot(at, old)).status).toBe('removing');
  });

  test('keeps the slots of a worker that has fallen silent for a while, and then removes them', async () => {
    const old = await addSlot(at, fixture.vault);
    await plan(1);
    const silent = (text: string) =>
      at.database
        .updateTable('pool_demands')
        .set({ seen_at: sql`now() - ${sql.lit(text)}::interval` })
        .where('worker_id', '=', 'w1')
        .execute();
    await silent('1 minute');
    expect((await plan(1, 'the next', undefined, 'w2')).retired).toBe(0);
    await silent('3 minutes');
    expect((await plan(1, 'the next', undefined, 'w2')).retired).toBe(1);
    expect((await slot(at, old)).status).toBe('removing');
  });

  test.each(['not_made', 'not_handed_over'])(
    'makes no more for a while after three of %s, and says why',
    async (code) => {
      for (let failed = 0; failed < 3; failed++)
        await at.database
          .insertInto('slots')
          .values({
            slot_id: `slot-${String(failed).repeat(24)}`,
            ...{ project: 'default', location: 'nbg1', plan: 'starter', fingerprint: FINGERPRINT },
            status: 'removed',
            error: 'the image does not boot',
            failure_code: code,
            failed_at: sql<Date>`now()`,
          })
          .execute();
      expect((await plan(1)).added).toBe(0);
      expect(await pool()).toMatchObject({
        error: expect.stringContaining('the image does not boot'),
        paused_until: expect.any(Date),
      });
    },
  );

  test('withdraws a slot from an attempt whose lease has run out', async () => {
    await plan(1);
    const taken = await takeSlotWork(at.database, 'w9', 30, { fingerprints: [FINGERPRINT] });
    await at.database
      .updateTable('slots')
      .set({ lease_until: new Date(0) })
      .execute();
    expect((await plan(0)).retired).toBe(1);
    const { slot_id: slotId, attempt } = taken!;
    expect(await slot(at, slotId)).toMatchObject({
      status: 'removing',
      attempt: attempt + 1,
      worker_id: null,
      lease_until: null,
    });
    const late = renewSlotLease(at.database, { slotId, attempt, workerId: 'w9' }, 30);
    await expect(late).rejects.toThrow('no longer ours');
    // No try was lost: nothing was removed yet.
    expect(await takeSlotWork(at.database, 'w1', 30, { fingerprints: [] })).toMatchObject({
      slot_id: slotId,
      tries: 0,
    });
  });

  test('is refilled after slots were withdrawn while they were made', async () => {
    expect((await plan(4)).added).toBe(4);
    expect((await plan(0)).retired).toBe(4);
    expect(await plan(1)).toEqual({ retired: 0, added: 1 });
    expect(await pool()).toMatchObject({ error: null, paused_until: null });
  });

  test('is not refilled while a breaker has tripped, nor beyond what an hour allows', async () => {
    await at.database
      .updateTable('breakers')
      .set({ tripped_at: sql`now()`, cause: 'x' })
      .where('name', '=', 'creates')
      .execute();
    expect((await plan(2)).added).toBe(0);
    expect((await pool()).error).toContain('creates has tripped');
    await at.database.updateTable('breakers').set({ tripped_at: null, cause: null }).execute();
    await applyLimits(at.database, { ...DEFAULT_LIMITS, createsPerHour: 2 }, {});
    expect((await plan(5)).added).toBe(2);
    expect((await plan(5)).added).toBe(0);
  });

  test('is not refilled beyond its ceiling on costs', async () => {
    await at.database
      .insertInto('server_prices')
      .values({ server_type: 'cx23', location: 'nbg1', euros_per_hour: '0.01', fetched_at: new Date() })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await addSlot(at, fixture.vault);
    await addSlot(at, fixture.vault);
    expect((await plan(3, FINGERPRINT, 0.015)).added).toBe(0);
    expect((await pool()).error).toContain('may cost €0.015');
  });
});

describe('LIMIT_EUR_PER_HOUR', () => {
  const limitTo = async (euros: number) => {
    await at.database
      .insertInto('server_prices')
      .values({ server_type: 'cx23', location: 'nbg1', euros_per_hour: '0.01', fetched_at: new Date() })
      .onConflict((conflict) =>
        conflict.columns(['server_type', 'location']).doUpdateSet({ euros_per_hour: '0.01' }),
      )
      .execute();
    await applyLimits(at.database, { ...DEFAULT_LIMITS, eurosPerHour: euros }, {});
  };

  test('is no reason to hold an order back because of slots: they are removed to make room for it', async () => {
    for (let made = 0; made < 3; made++) await addSlot(at, fixture.vault);
    await plan(3);
    await limitTo(0.03);
    expect(await plan(3)).toEqual({ retired: 0, added: 0 });
    await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
      values ('evt_1', 'x', false, '{}', 'acted', now())`.execute(at.database);
    const outcome = await at.database.transaction().execute((trx) =>
      requestOrderedAgent(trx, at.queue, {
        // Of a plan without a pool: it needs a new server.
        agent: { agentId: 'a1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' },
        stripeEventId: 'evt_1',
        actor: 'stripe',
        at: new Date(),
        delaySeconds: 5,
      }),
    );
    expect(outcome).toHaveProperty('operation');
    expect(await plan(3)).toEqual({ retired: 1, added: 0 });
    expect(await statuses()).toEqual(['ready', 'ready', 'removing']);
    expect((await pool()).error).toContain('more than €0.03');
    // And not one more, which would be removed again at once.
    expect(await plan(3)).toEqual({ retired: 0, added: 0 });
  });
});

test('a slot that does not answer is asked again, and removed once it was silent for long', async () => {
  const brief = await addSlot(at, fixture.vault, { checked_at: new Date(Date.now() - 10_000) });
  const long = await addSlot(at, fixture.vault, { checked_at: new Date(Date.now() - 60_000) });
  const checks = { canReach: async () => true, failed: new Set<string>() };
  const asked = async (isHealthy: boolean) => {
    const health = { isHealthy: async () => isHealthy };
    await at.database
      .updateTable('slots')
      .set({ check_at: new Date(0) })
      .where('status', '=', 'ready')
      .execute();
    const { signal } = new AbortController();
    const silent = await checkSlots(at.database, { ...checks, health }, signal, 'silent');
    return [...silent, ...(await checkSlots(at.database, { ...checks, health }, signal, 'answering'))];
  };
  // Nobody may have asked for long: that alone is no silence.
  expect(await asked(false)).toEqual([]);
  expect(await asked(false)).toEqual([long]);
  expect([(await slot(at, brief)).status, (await slot(at, long)).status]).toEqual(['ready', 'removing']);
  expect(await asked(true)).toEqual([]);
  expect((await slot(at, brief)).checked_at!.getTime()).toBeGreaterThan(Date.now() - 9_000);
  await at.database
    .updateTable('slots')
    .set({ checked_at: sql`now() - interval '1 minute'` })
    .where('status', '=', 'ready')
    .execute();
  // It has answered in between.
  expect(await asked(false)).toEqual([]);
});

test('neither slow checks nor prices keep a worker from saying what it wants', async () => {
  await addSlot(at, fixture.vault);
  const deps = keeper(1);
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  fixture.deps.health.isHealthy = async () => {
    await released;
    return true;
  };
  fixture.deps.hetzner.listServerPrices = async () => {
    await released;
    return [];
  };
  await at.database.deleteFrom('server_prices').execute();
  deps.pool = { ...deps.pool, eurosPerHour: 1 };
  const running = startPoolKeeper(deps, 0.05);
  const seenAt = async () =>
    (await at.database.selectFrom('pool_demands').select('seen_at').executeTakeFirst())?.seen_at.getTime() ??
    0;
  await vi.waitFor(async () => expect(await seenAt()).toBeGreaterThan(0), WAIT);
  const first = await seenAt();
  await vi.waitFor(async () => expect(await seenAt()).toBeGreaterThan(first), WAIT);
  release();
  await running.stop();
});

test('a worker says what it wants even while another one plans', async () => {
  const { promise: planned, resolve: endPlan } = Promise.withResolvers<void>();
  const { promise: locked, resolve: isLocked } = Promise.withResolvers<void>();
  const planning = at.database.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext('pool'), 0)`.execute(trx);
    isLocked();
    await planned;
  });
  await locked;
  const running = startPoolKeeper(keeper(1), 0.05);
  const demands = () => at.database.selectFrom('pool_demands').select('worker_id').execute();
  await vi.waitFor(async () => expect(await demands()).toEqual([{ worker_id: 'w1' }]), WAIT);
  endPlan();
  await planning;
  await running.stop();
});

function keeper(size: number): KeeperDeps {
  return {
    database: at.database,
    queue: at.queue,
    parts: fixture.deps,
    fence: noFence(new Secret('postgres://state')),
    leaseSeconds: 30,
    log: at.log,
    pool: {
      ...NO_POOL,
      entries: [{ project: undefined, location: 'nbg1', plan: 'starter', size, hours: undefined }],
    },
    workerId: 'w1',
    canReach: async () => true,
  };
}

test('the keeper makes a slot with the steps of a provision, and removes it with those of a destroy', async () => {
  const deps = keeper(1);
  const running = startPoolKeeper(deps, 0.05);
  const ready = () => at.database.selectFrom('slots').selectAll().where('status', '=', 'ready').execute();
  await vi.waitFor(async () => expect(await ready()).toHaveLength(1), WAIT);
  await running.stop();
  const [made] = await ready();
  expect(fixture.calls).toEqual(
    expect.arrayContaining(['up foundation new', 'up agent new', 'healthy 100.64.0.1']),
  );
  expect(made).toMatchObject({ server_id: '1', tailnet_node_id: 'n1', lease_until: null });
  expect(fixture.vault.open(made!.slot_id, made!.secrets!)).toBeDefined();
  const emptying = startPoolKeeper({ ...deps, pool: NO_POOL }, 0.05);
  await vi.waitFor(async () => expect((await slot(at, made!.slot_id)).status).toBe('removed'), WAIT);
  await emptying.stop();
  expect(fixture.calls).toContain('destroy agent');
  expect(fixture.devices).toEqual([]);
});

test('a slot that cannot be made is removed after three tries', async () => {
  fixture.answers['up agent'] = [1, 2, 3].map((n) => new RetryableError(`failure ${n}`));
  const running = startPoolKeeper(keeper(1), 0.05);
  await vi.waitFor(async () => {
    await at.database
      .updateTable('slots')
      .set({ run_after: new Date(0) })
      .where('status', '=', 'making')
      .execute();
    expect(await statuses()).toContain('removed');
  }, WAIT);
  await running.stop();
  const gone = await at.database
    .selectFrom('slots')
    .selectAll()
    .where('status', '=', 'removed')
    .executeTakeFirst();
  expect(gone).toMatchObject({ error: 'failure 3', failure_code: 'not_made', ready_at: null });
});

test('a slot with the device of an agent is never offered', async () => {
  await order(at, 'a1');
  await at.database.updateTable('agents').set({ tailnet_ip: '100.64.0.1' }).execute();
  await claim(at);
  const running = startPoolKeeper(keeper(1), 0.05);
  const made = () => at.database.selectFrom('slots').selectAll().executeTakeFirst();
  await vi.waitFor(async () => expect((await made())?.error).toContain('already belongs to agent a1'), WAIT);
  await running.stop();
  expect(await made()).toMatchObject({ status: 'making', ready_at: null });
});

test('in the seconds of a claim a worker says what it wants, and nothing is planned for a while', async () => {
  await addPool(at, 1);
  await addSlot(at, fixture.vault);
  await order(at, 'a1');
  await at.database.updateTable('slots').set({ claimed_at: sql`now() + interval '1 hour'` }).execute();
  const running = startPoolKeeper(keeper(3), 0.05);
  /** The moments of demands after each plan, by the plan's own. */
  const demanded = new Map<number, Set<number>>();
  await vi.waitFor(async () => {
    const { rows } = await sql<{ planned: Date; said: Date }>`select p.seen_at as planned, d.seen_at as said
      from pools p join pool_demands d using (project, location, plan)
      where p.size = 3 and d.worker_id = 'w1' and d.seen_at > p.seen_at`.execute(at.database);
    for (const { planned, said } of rows)
      demanded.set(+planned, (demanded.get(+planned) ?? new Set()).add(+said));
    // Without a pause each plan is followed by the one demand that comes before the next plan.
    expect(Math.max(...[...demanded.values()].map(({ size }) => size))).toBeGreaterThan(2);
    expect(demanded.size).toBeGreaterThan(1);
  }, WAIT);
  await running.stop();
});

test('no slot is begun while an order waits for a worker', async () => {
  await order(at, 'a1');
  const running = startPoolKeeper(keeper(1), 0.05);
  await vi.waitFor(async () => expect(await statuses()).toEqual(['making']), WAIT);
  await running.stop();
  expect(fixture.calls).toEqual([]);
});

test('prices that cannot be fetched are asked for once in minutes, and the pool is kept with the old ones', async () => {
  let asked = 0;
  fixture.deps.hetzner.listServerPrices = async () => {
    asked += 1;
    throw new RetryableError('503');
  };
  await at.database.deleteFrom('server_prices').execute();
  await at.database
    .insertInto('server_prices')
    .values({ server_type: 'cx23', location: 'nbg1', euros_per_hour: '0.01', fetched_at: new Date(0) })
    .execute();
  let now = 0;
  const deps = { ...keeper(1), clock: { ...systemClock, now: () => new Date(1e12 + now) } };
  deps.pool = { ...deps.pool, eurosPerHour: 1 };
  // Nothing is begun, so that the slot shows that it was planned.
  await order(at, 'a1');
  const running = startPoolKeeper(deps, 0.02);
  await vi.waitFor(async () => expect(await statuses()).toEqual(['making']), WAIT);
  expect(asked).toBe(1);
  now = 6 * 60_000;
  await vi.waitFor(() => expect(asked).toBe(2), WAIT);
  await running.stop();
});

test('an operation behind another of its agent holds no refill back, and an order no removal', async () => {
  await order(at, 'a1');
  const leaving = await addSlot(at, fixture.vault, { status: 'removing' });
  const emptying = startPoolKeeper(keeper(0), 0.05);
  await vi.waitFor(async () => expect((await slot(at, leaving)).status).toBe('removed'), WAIT);
  await emptying.stop();
  await claim(at);
  await at.database
    .transaction()
    .execute((trx) => insertOperation(trx, at.queue, { agentId: 'a1', kind: 'rollback' }));
  const running = startPoolKeeper(keeper(1), 0.05);
  await vi.waitFor(async () => expect(await statuses()).toContain('ready'), WAIT);
  await running.stop();
});

test('the fingerprint changes with whatever a server is made by and from', () => {
  const settings = fixture.deps.settings;
  const one = { plan: 'starter', location: 'nbg1' };
  const prints = [
    fingerprintFor(settings, one),
    fingerprintFor({ ...settings, configurationVersion: 'v2' }, one),
    fingerprintFor({ ...settings, healthPort: 1 }, one),
    fingerprintFor({ ...settings, loginServer: 'https://login.example' }, one),
    fingerprintFor(settings, { ...one, plan: 'pro' }),
    fingerprintFor(settings, { ...one, location: 'ash' }),
  ];
  expect(new Set(prints).size).toBe(prints.length);
  expect(fingerprintFor({ ...settings }, one)).toBe(prints[0]);
});
