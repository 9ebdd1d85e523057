import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createStillWanted } from '../../../src/billing/follow/still-wanted.ts';
import {
  addRunning,
  approve,
  change,
  heldBy,
  type LimitsFixture,
  openLimits,
  release,
  reset,
} from '../../limits/limits-fixture.ts';

let at: LimitsFixture;
beforeAll(async () => {
  at = await openLimits();
});
afterAll(() => at.close());

/** The suspension of a1 is approved; its subscription was read just now, and demands it. */
beforeEach(async () => {
  await reset(at);
  await sql`update breakers set limit_count = 0, limit_percent = null, limit_least = null
    where name = 'suspensions'`.execute(at.database);
  await addRunning(at, 1);
  await sql`insert into subscriptions (subscription_id, agent_id, signals, seen_signals, state, demand,
      fetched_at, next_at)
    values ('sub_1', 'a1', 3, 3, 'suspended', 'suspend', now() - interval '9 minutes',
      ${at.clock.now()}::timestamptz + interval '1 hour')`.execute(at.database);
  expect(heldBy(await change(at, 'a1', 'suspend'))).toBe('suspensions');
  await approve(at, 'suspensions');
});

const releaseWanted = () => release(at, createStillWanted(at));
const held = () => at.database.selectFrom('held_changes').select(['kind', 'approved_at']).execute();
const suspensions = () => at.database.selectFrom('operations').select('kind').execute();
async function subscription() {
  const row = at.database.selectFrom('subscriptions').selectAll().where('subscription_id', '=', 'sub_1');
  return row.executeTakeFirstOrThrow();
}
const set = (assignments: string) =>
  sql`update subscriptions set ${sql.raw(assignments)} where subscription_id = 'sub_1'`.execute(at.database);

test.each(['suspend', 'hibernate', 'destroy'])(
  'a suspension goes if a fresh look demands %s',
  async (demand) => {
    await set(`demand = '${demand}'`);
    expect(await releaseWanted()).toBe(1);
    expect(await suspensions()).toEqual([{ kind: 'suspend' }]);
  },
);

test.each([
  ["demand = 'run'", 'a fresh look demands nothing'],
  ['governs = false', 'no subscription governs'],
])('with %s it is withdrawn: %s', async (assignments) => {
  await set(assignments);
  expect(await releaseWanted()).toBe(0);
  expect(await held()).toEqual([]);
});

describe('a decision that may be outdated suspends nobody, and the approval stays', () => {
  test.each([
    ['the look is older than ten minutes', "fetched_at = now() - interval '11 minutes'", 4],
    ['it was never looked at', 'fetched_at = null, state = null, demand = null', 4],
    ['an event was not read yet', "signals = 4, fetched_at = now() - interval '11 minutes'", 4],
    ['the last look failed', "last_error = 'Stripe is away', error_since = now(), fetched_at = null", 3],
  ])('%s', async (_what, assignments, signals) => {
    await set(assignments);
    // Asking twice does not signal twice: a look that is under way would have to be repeated.
    for (let n = 0; n < 2; n += 1) expect(await releaseWanted()).toBe(0);
    expect(await held()).toEqual([{ kind: 'suspend', approved_at: at.clock.now() }]);
    expect(await subscription()).toMatchObject({ signals });
    // What the look that follows stores.
    await set(`seen_signals = signals, fetched_at = now(), last_error = null, error_since = null,
      state = 'suspended', demand = 'suspend'`);
    expect(await releaseWanted()).toBe(1);
    expect(await held()).toEqual([]);
  });

  test('its next date has passed on the service’s clock', async () => {
    at.clock.advance(60);
    expect(await releaseWanted()).toBe(0);
    expect(await held()).toHaveLength(1);
    expect(await subscription()).toMatchObject({ signals: 3 });
  });

  test('another subscription of the agent was not read yet', async () => {
    await sql`insert into subscriptions (subscription_id, agent_id, governs) values ('sub_2', 'a1', false)`.execute(
      at.database,
    );
    expect(await releaseWanted()).toBe(0);
    expect(await held()).toHaveLength(1);
    // A failure of one is a pause for all: they are read together.
    await set("fetched_at = null, last_error = 'Stripe is away', error_since = now()");
    expect(await releaseWanted()).toBe(0);
    expect(await subscription()).toMatchObject({ signals: 3 });
  });
});

test('what no subscription demands is not asked about', async () => {
  await set('fetched_at = null');
  expect(await createStillWanted(at)('a1', 'resize')).toBe(true);
});
