import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { findHoldingBreaker } from '../../src/limits/admission.ts';
import { applyLimits } from '../../src/limits/apply-limits.ts';
import { requestOrderedAgent, withdrawChange } from '../../src/limits/request-change.ts';
import { ask } from '../support/operations-fixture.ts';
import {
  addRunning,
  approve,
  buy,
  change,
  countQueued,
  held,
  heldBy,
  isTripped,
  type LimitsFixture,
  openLimits,
  release,
  reset,
} from './limits-fixture.ts';

let at: LimitsFixture;
beforeAll(async () => {
  at = await openLimits();
});
afterAll(() => at.close());
beforeEach(() => reset(at));

const audited = async (action: string) =>
  (await at.database.selectFrom('audit_log').select('details').where('action', '=', action).execute()).map(
    ({ details }) => details,
  );

const notices = async () =>
  (await at.database.selectFrom('notices').select(['type', 'data']).orderBy('sequence').execute()).map(
    ({ type, data }) => ({ type, breaker: data.breaker }),
  );

test('500 cancelled at once: five go, one notice; after an approval the rest goes at the allowed rate', async () => {
  const agents = await addRunning(at, 500);
  const outcomes = [];
  for (const agentId of agents) outcomes.push(heldBy(await change(at, agentId, 'destroy')));
  expect(outcomes.slice(0, 5)).toEqual(Array(5).fill(undefined));
  expect(outcomes.slice(5)).toEqual(Array(495).fill('destroys'));
  expect(await countQueued(at, 'destroy')).toBe(5);
  expect(await audited('breaker.trip')).toEqual([
    {
      breaker: 'destroys',
      cause:
        'The service destroys at most 5 within an hour (5 % of 500 agents, at least 1, at most 5). It has done so 5 times, and more is due.',
    },
  ]);

  // Time alone releases nothing.
  at.clock.advance(24 * 60);
  expect(await release(at)).toBe(0);
  expect(heldBy(await change(at, 'a6', 'destroy'))).toBe('destroys');

  expect(await approve(at, 'destroys')).toBe(495);
  const went = [];
  for (let hour = 0; hour < 3; hour += 1) {
    went.push(await release(at));
    at.clock.advance(30);
    went.push(await release(at));
    at.clock.advance(30);
  }
  expect(went).toEqual([5, 0, 5, 0, 5, 0]);
  expect(await isTripped(at, 'destroys')).toBe(true);
  expect(await audited('breaker.trip')).toHaveLength(1);
  expect(await notices()).toEqual([{ type: 'breaker.tripped', breaker: 'destroys' }]);
}, 60_000);

test('an approved breaker closes when nothing waits any more, and trips again later', async () => {
  await addRunning(at, 200);
  for (let n = 1; n <= 7; n += 1) await change(at, `a${n}`, 'destroy');
  await approve(at, 'destroys');
  at.clock.advance(60);
  expect(await release(at)).toBe(2);
  expect(await isTripped(at, 'destroys')).toBe(false);
  const after = [];
  for (let n = 8; n <= 11; n += 1) after.push(heldBy(await change(at, `a${n}`, 'destroy')));
  expect(after).toEqual([undefined, undefined, undefined, 'destroys']);
  expect(await audited('breaker.trip')).toHaveLength(2);
});

test('a count approves the oldest only; the rest goes on waiting for a person', async () => {
  await addRunning(at, 200);
  for (let n = 1; n <= 9; n += 1) await change(at, `a${n}`, 'destroy');
  expect(await approve(at, 'destroys', 2)).toBe(2);
  at.clock.advance(60);
  expect(await release(at)).toBe(2);
  at.clock.advance(60);
  expect(await release(at)).toBe(0);
  expect(await held(at)).toEqual(['destroy of a8 by destroys', 'destroy of a9 by destroys']);
  expect(await isTripped(at, 'destroys')).toBe(true);
  expect(await audited('breaker.trip')).toHaveLength(1);
});

test('changes that arrive after the approval wait behind, and a person is told once what was approved is gone', async () => {
  await addRunning(at, 200);
  for (let n = 1; n <= 6; n += 1) await change(at, `a${n}`, 'destroy');
  await approve(at, 'destroys');
  at.clock.advance(1);
  expect(heldBy(await change(at, 'a7', 'destroy'))).toBe('destroys');
  at.clock.advance(60);
  expect(await release(at)).toBe(1);
  expect(await held(at)).toEqual(['destroy of a7 by destroys']);
  expect((await audited('breaker.trip')).at(-1)).toEqual({
    breaker: 'destroys',
    cause: 'What was approved has gone. Meanwhile 1 more changes came to wait.',
  });
});

describe('the share of the fleet counts where it is lower', () => {
  test.each([
    { fleet: 3, allowed: 1 },
    { fleet: 39, allowed: 1 },
    { fleet: 40, allowed: 2 },
    { fleet: 80, allowed: 4 },
    { fleet: 100, allowed: 5 },
    { fleet: 140, allowed: 5 },
  ])('$allowed of $fleet', async ({ fleet, allowed }) => {
    const agents = await addRunning(at, fleet);
    const outcomes = [];
    for (const agentId of agents.slice(0, 7)) outcomes.push(heldBy(await change(at, agentId, 'destroy')));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(allowed);
  });
});

test('a rolling hour: each change makes room an hour after it went', async () => {
  await addRunning(at, 200);
  for (let n = 1; n <= 5; n += 1) {
    await change(at, `a${n}`, 'destroy');
    at.clock.advance(10);
  }
  at.clock.advance(10);
  // 60 minutes after the first, 50 after the second.
  expect(heldBy(await change(at, 'a6', 'destroy'))).toBeUndefined();
  expect(heldBy(await change(at, 'a7', 'destroy'))).toBe('destroys');
});

test('what a person asks for by hand passes no breaker and fills none', async () => {
  await addRunning(at, 200);
  for (let n = 1; n <= 9; n += 1) await ask(at, `a${n}`, 'destroy');
  expect(heldBy(await change(at, 'a10', 'destroy'))).toBeUndefined();
  for (let n = 11; n <= 15; n += 1) await change(at, `a${n}`, 'destroy');
  expect(await isTripped(at, 'destroys')).toBe(true);
  expect((await ask(at, 'a15', 'destroy')).status).toBe('queued');
  // It is being destroyed, so nothing waits for it.
  await release(at);
  expect(await held(at)).toEqual([]);
});

test('asking again while it is held or under way changes nothing', async () => {
  await addRunning(at, 20);
  const first = await change(at, 'a1', 'destroy');
  expect(await change(at, 'a1', 'destroy')).toEqual(first);
  await change(at, 'a2', 'destroy');
  await change(at, 'a2', 'destroy');
  expect(await held(at)).toEqual(['destroy of a2 by destroys']);
  expect(await countQueued(at, 'destroy')).toBe(1);
});

test('a held change marks nothing on its agent, and one that is impossible is refused, not held', async () => {
  await addRunning(at, 20);
  await change(at, 'a1', 'destroy');
  await change(at, 'a2', 'destroy');
  const agent = await at.database
    .selectFrom('agents')
    .select('status')
    .where('agent_id', '=', 'a2')
    .executeTakeFirstOrThrow();
  expect(agent.status).toBe('running');
  await sql`update agents set status = 'destroyed', server_id = null, tailnet_ip = null where agent_id = 'a3'`.execute(
    at.database,
  );
  await expect(change(at, 'a3', 'destroy')).rejects.toThrow('Agent a3 is destroyed');
  expect(await held(at)).toEqual(['destroy of a2 by destroys']);
});

test('a decision that no longer wants it withdraws it, before or while it is released', async () => {
  await addRunning(at, 20);
  for (let n = 1; n <= 4; n += 1) await change(at, `a${n}`, 'destroy');
  await at.database.transaction().execute((trx) => withdrawChange(trx, 'a2', 'destroy'));
  await approve(at, 'destroys');
  at.clock.advance(60);
  expect(await release(at, (agentId) => agentId !== 'a3')).toBe(1);
  expect(await countQueued(at, 'destroy')).toBe(2);
  expect(await held(at)).toEqual([]);
  expect(await audited('change.withdraw')).toHaveLength(2);
  expect(await isTripped(at, 'destroys')).toBe(false);
});

test('an approved change waits for the end of another operation, and is withdrawn if it became impossible', async () => {
  await sql`update breakers set limit_euros = 0.03 where name = 'spend'`.execute(at.database);
  await sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now()), ('cx43', 'nbg1', 0.05, now())`.execute(
    at.database,
  );
  await addRunning(at, 2);
  for (const agentId of ['a1', 'a2'])
    expect(heldBy(await change(at, agentId, 'resize', { plan: 'max' }))).toBe('spend');
  await ask(at, 'a1', 'restart');
  await sql`update agents set plan = 'max' where agent_id = 'a2'`.execute(at.database);
  await approve(at, 'spend');
  expect(await release(at)).toBe(0);
  expect(await held(at)).toEqual(['resize of a1 by spend']);
  await sql`update operations set status = 'cancelled', finished_at = now()`.execute(at.database);
  expect(await release(at)).toBe(1);
  expect(await isTripped(at, 'spend')).toBe(false);
});

describe('a tripped breaker of costs without a limit any more', () => {
  const trip = sql`update breakers set tripped_at = now(), cause = 'too dear' where name = 'spend'`;
  const lockWaits = async () => {
    const { rows } = await sql`select 1 from pg_locks where locktype = 'advisory' and not granted`.execute(
      at.database,
    );
    return rows.length;
  };
  beforeEach(async () => {
    await sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now())`.execute(at.database);
    await trip.execute(at.database);
  });

  test('is approved only after the orders that hold themselves by it, so that none is left behind', async () => {
    const { queue, clock } = at;
    await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
      values ('evt_b1', 't', false, '{}', 'acted', now())`.execute(at.database);
    const agent = { agentId: 'b1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
    const order = { agent, stripeEventId: 'evt_b1', actor: 'stripe', at: clock.now() };
    const { approving } = await at.database.transaction().execute(async (trx) => {
      expect(heldBy(await requestOrderedAgent(trx, queue, order))).toBe('spend');
      const approving = approve(at, 'spend');
      await Promise.race([
        approving,
        vi.waitFor(async () => expect(await lockWaits()).toBe(1), { timeout: 20_000 }),
      ]);
      return { approving };
    });
    expect(await approving).toBe(1);
    expect(await release(at)).toBe(1);
    expect(await held(at)).toEqual([]);
    expect(await isTripped(at, 'spend')).toBe(false);
  });

  test('that was closed nevertheless lets go what waits, by an approval', async () => {
    expect(heldBy(await buy(at, 'b1'))).toBe('spend');
    await sql`update breakers set tripped_at = null, cause = null where name = 'spend'`.execute(at.database);
    expect(await approve(at, 'spend')).toBe(1);
    expect(await release(at)).toBe(1);
    expect(await isTripped(at, 'spend')).toBe(false);
    await expect(approve(at, 'spend')).rejects.toThrow('nothing to approve');
  });
});

test('without an approval a tripped breaker stays tripped, even if nothing waits', async () => {
  await addRunning(at, 20);
  for (const agentId of ['a1', 'a2']) await change(at, agentId, 'destroy');
  await at.database.transaction().execute((trx) => withdrawChange(trx, 'a2'));
  at.clock.advance(60 * 24);
  await release(at);
  expect(heldBy(await change(at, 'a3', 'destroy'))).toBe('destroys');
  await at.database.transaction().execute((trx) => withdrawChange(trx, 'a3'));
  expect(await approve(at, 'destroys')).toBe(0);
  expect(await isTripped(at, 'destroys')).toBe(false);
  await expect(approve(at, 'destroys')).rejects.toThrow('is not tripped');
});

describe('orders', () => {
  const lower = (count: number) =>
    at.database.updateTable('breakers').set({ limit_count: count }).where('name', '=', 'creates').execute();

  test('beyond the limit an order waits as a requested agent, and goes after an approval', async () => {
    await lower(2);
    const outcomes = [];
    for (const agentId of ['b1', 'b2', 'b3']) outcomes.push(heldBy(await buy(at, agentId)));
    expect(outcomes).toEqual([undefined, undefined, 'creates']);
    const agent = await at.database
      .selectFrom('agents')
      .select(['status', 'step'])
      .where('agent_id', '=', 'b3')
      .executeTakeFirstOrThrow();
    expect(agent).toEqual({ status: 'requested', step: 'queued' });
    await approve(at, 'creates');
    at.clock.advance(60);
    expect(await release(at)).toBe(1);
    const operation = await at.database
      .selectFrom('operations')
      .select(['kind', 'stripe_event_id'])
      .where('agent_id', '=', 'b3')
      .executeTakeFirstOrThrow();
    expect(operation).toEqual({ kind: 'provision', stripe_event_id: 'evt_b3' });
  });

  test('an id that is taken trips nothing', async () => {
    await lower(1);
    await buy(at, 'b1');
    const again = { agentId: 'b1', userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
    await at.database.transaction().execute(async (trx) => {
      const order = { agent: again, stripeEventId: 'evt_b1', actor: 'stripe', at: at.clock.now() };
      await expect(requestOrderedAgent(trx, at.queue, order)).rejects.toThrow('exists already');
    });
    expect(await isTripped(at, 'creates')).toBe(false);
  });

  test('twelve orders in the same moment: exactly the limit goes', async () => {
    await lower(4);
    const names = Array.from({ length: 12 }, (_, n) => `c${n}`);
    const outcomes = await Promise.all(names.map(async (name) => heldBy(await buy(at, name))));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(4);
    expect(await held(at)).toHaveLength(8);
    expect(await audited('breaker.trip')).toHaveLength(1);
    await approve(at, 'creates');
    at.clock.advance(60);
    const went = await Promise.all([release(at), release(at), release(at)]);
    expect(went.reduce((sum, count) => sum + count)).toBe(4);
    expect(await countQueued(at, 'provision')).toBe(8);
  });

  test('an order waits for no other order, whether it goes or is held', async () => {
    /** Never reaches its commit while the others are recorded. */
    const whileOneIsOpen = async (check: () => Promise<void>) => {
      const order = at.database.transaction().execute(async (trx) => {
        await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
          values ('evt_open', 't', false, '{}', 'acted', now())`.execute(trx);
        const place = { region: 'eu-central', location: 'nbg1', plan: 'starter' };
        const agent = { agentId: 'open', userId: 'u1', ...place };
        const request = { agent, stripeEventId: 'evt_open', actor: 'stripe', at: at.clock.now() };
        await requestOrderedAgent(trx, at.queue, request);
        await check();
        throw new Error('taken back');
      });
      await expect(order).rejects.toThrow('taken back');
    };
    await lower(100);
    await whileOneIsOpen(async () => expect(heldBy(await buy(at, 'b1'))).toBeUndefined());
    await lower(1);
    expect(heldBy(await buy(at, 'b2'))).toBe('creates');
    await whileOneIsOpen(async () => expect(heldBy(await buy(at, 'b3'))).toBe('creates'));
  });

  test('fifty orders in the same moment that come near the limit: exactly the limit goes', async () => {
    await lower(40);
    const names = Array.from({ length: 50 }, (_, n) => `c${n}`);
    const outcomes = await Promise.all(names.map(async (name) => heldBy(await buy(at, name))));
    expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(40);
    expect(await audited('breaker.trip')).toHaveLength(1);
  });

  test('a limit of 0 lets nothing go by itself, and what is approved one an hour', async () => {
    await lower(0);
    for (const agentId of ['b1', 'b2']) expect(heldBy(await buy(at, agentId))).toBe('creates');
    await approve(at, 'creates');
    expect(await release(at)).toBe(1);
    expect(await release(at)).toBe(0);
  });
});

describe('orders at once under a limit on costs', () => {
  const limit = async (euros: number) => {
    await sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now()), ('cx43', 'nbg1', 0.02, now())`.execute(
      at.database,
    );
    await sql`update breakers set limit_euros = ${euros} where name = 'spend'`.execute(at.database);
  };
  const ids = (count: number) => Array.from({ length: count }, (_, n) => `b${n + 1}`);

  test.each([
    ['near the limit', 0, 0.4, 40],
    // 32 of the dearest server are always possible before the limit comes near.
    ['on the way to it', 40, 1.2, 80],
  ])('%s exactly those go for which there is room', async (_, running, euros, most) => {
    await at.database
      .updateTable('breakers')
      .set({ limit_count: 1000 })
      .where('name', '=', 'creates')
      .execute();
    await limit(euros);
    await addRunning(at, running);
    const outcomes = await Promise.all(ids(most + 10).map(async (agentId) => heldBy(await buy(at, agentId))));
    expect(outcomes.filter((breaker) => breaker === undefined)).toHaveLength(most);
    expect(outcomes.filter((breaker) => breaker === 'spend')).toHaveLength(10);
    expect(await audited('breaker.trip')).toHaveLength(1);
    // While it is tripped, too.
    const later = await Promise.all(ids(5).map(async (agentId) => heldBy(await buy(at, `c${agentId}`))));
    expect(later).toEqual(Array(5).fill('spend'));
  });

  /** An order that was decided about, and whose transaction ends with `end`. */
  async function beginOrder(agentId: string) {
    const { promise: ended, resolve: end } = Promise.withResolvers<void>();
    const { promise: decided, resolve: decide } = Promise.withResolvers<void>();
    const change = { agentId, kind: 'provision', parameters: {}, actor: 'stripe', cause: 'Paid.' };
    const agent = { plan: 'starter', location: 'nbg1' };
    const done = at.database.transaction().execute(async (trx) => {
      const held = await findHoldingBreaker(trx, change, agent, at.clock.now());
      decide();
      await ended;
      return held;
    });
    await Promise.race([decided, done]);
    return { done, end };
  }

  test('one does not wait for the commit of another, far from the limit', async () => {
    await limit(100);
    const first = await beginOrder('b1');
    try {
      await at.database.transaction().execute(async (trx) => {
        // It would wait for as long as the first one is open.
        await sql`set local lock_timeout = '2s'`.execute(trx);
        const change = { agentId: 'b2', kind: 'provision', parameters: {}, actor: 'stripe', cause: 'Paid.' };
        const agent = { plan: 'starter', location: 'nbg1' };
        expect(await findHoldingBreaker(trx, change, agent, at.clock.now())).toBeUndefined();
      });
    } finally {
      first.end();
    }
    expect(await first.done).toBeUndefined();
  });

  test('a larger plan waits for an order whose costs are not visible yet', async () => {
    await limit(100);
    await addRunning(at, 1);
    const first = await beginOrder('b1');
    const counting = at.database.transaction().execute(async (trx) => {
      await sql`set local lock_timeout = '300ms'`.execute(trx);
      return findHoldingBreaker(
        trx,
        { agentId: 'a1', kind: 'resize', parameters: { plan: 'max' }, actor: 'billing', cause: 'Its price.' },
        { plan: 'starter', location: 'nbg1' },
        at.clock.now(),
      );
    });
    await expect(counting).rejects.toThrow('lock timeout');
    first.end();
    await first.done;
    expect(heldBy(await change(at, 'a1', 'resize', { plan: 'max' }))).toBeUndefined();
  });
});

describe('euros an hour', () => {
  const setLimit = (euros: number) =>
    at.database.updateTable('breakers').set({ limit_euros: euros }).where('name', '=', 'spend').execute();
  const setPrices = () =>
    sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now()), ('cx33', 'nbg1', 0.02, now()),
      ('cx43', 'nbg1', 0.05, now())`.execute(at.database);

  test('the servers that exist and are being created, and the new one, stay within the limit', async () => {
    await setPrices();
    await setLimit(0.04);
    await addRunning(at, 2);
    expect(heldBy(await buy(at, 'b1'))).toBeUndefined();
    expect(heldBy(await buy(at, 'b2'))).toBeUndefined();
    expect(heldBy(await buy(at, 'b3'))).toBe('spend');
    expect(await audited('breaker.trip')).toEqual([
      {
        breaker: 'spend',
        cause: 'All servers together would cost €0.05 an hour; the limit is €0.04.',
      },
    ]);
    expect(await approve(at, 'spend')).toBe(1);
    expect(await release(at)).toBe(1);
    expect(await isTripped(at, 'spend')).toBe(false);
  });

  test('a larger plan counts, a smaller one passes even while it is tripped', async () => {
    await setPrices();
    await setLimit(0.03);
    await addRunning(at, 2);
    expect(heldBy(await change(at, 'a1', 'resize', { plan: 'max' }))).toBe('spend');
    await sql`update agents set plan = 'pro' where agent_id = 'a2'`.execute(at.database);
    expect(heldBy(await change(at, 'a2', 'resize', { plan: 'starter' }))).toBeUndefined();
    expect(await held(at)).toEqual(['resize of a1 by spend']);
  });

  test('a plan costs what the dearest server of its list does; a server that exists, what it is', async () => {
    await sql`insert into server_prices values ('cx23', 'nbg1', 0.01, now()), ('cpx32', 'nbg1', 0.03, now()),
      ('cx33', 'nbg1', 0.02, now())`.execute(at.database);
    const types = { nbg1: ['cx23', 'cpx32', 'unsold'] };
    await applyLimits(
      at.database,
      { ...DEFAULT_LIMITS, eurosPerHour: 0.05 },
      { starter: { types, mostEurosPerMonth: undefined } },
    );
    // Two servers of 0.01 that exist, and one that may become one of 0.03.
    await addRunning(at, 2);
    expect(heldBy(await buy(at, 'b1'))).toBeUndefined();
    // Its provision has chosen the cheap one, so that there is room for another.
    await sql`update agents set inputs = '{"serverType": "cx23"}' where agent_id = 'b1'`.execute(at.database);
    expect(heldBy(await change(at, 'a1', 'resize', { plan: 'pro' }))).toBeUndefined();
    expect(heldBy(await buy(at, 'b2'))).toBe('spend');
    expect((await audited('breaker.trip'))[0]?.cause).toContain('would cost €0.07 an hour');
    await applyLimits(at.database, DEFAULT_LIMITS);
  });

  test('an unknown price holds, because nobody can say what it would cost', async () => {
    await setLimit(100);
    expect(heldBy(await buy(at, 'b1'))).toBe('spend');
    expect((await audited('breaker.trip'))[0]?.cause).toMatch(/not told the price of cx23 in nbg1/);
  });

  test('what one breaker has let go may still cost too much', async () => {
    await setPrices();
    await at.database.updateTable('breakers').set({ limit_count: 1 }).where('name', '=', 'creates').execute();
    for (const agentId of ['b1', 'b2']) await buy(at, agentId);
    await approve(at, 'creates');
    await setLimit(0.01);
    at.clock.advance(60);
    expect(await release(at)).toBe(0);
    expect(await held(at)).toEqual(['provision of b2 by spend']);
    expect(await isTripped(at, 'creates')).toBe(false);
    await approve(at, 'spend');
    expect(await release(at)).toBe(1);
  });
});
