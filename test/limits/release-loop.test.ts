import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { refreshPrices } from '../../src/limits/prices.ts';
import { startReleasing } from '../../src/limits/release-loop.ts';
import { Secret } from '../../src/secret.ts';
import { hcloudToken, startCloud } from '../support/sandbox-hetzner.ts';
import {
  addRunning,
  approve,
  buy,
  change,
  countQueued,
  heldBy,
  isTripped,
  type LimitsFixture,
  openLimits,
  reset,
} from './limits-fixture.ts';

let at: LimitsFixture;
beforeAll(async () => {
  at = await openLimits();
});
afterAll(() => at.close());
beforeEach(async () => {
  await reset(at);
  at.logged.length = 0;
});

/** The default is a second, which is short beside other load. */
const WAIT = { timeout: 15_000 };

const logged = (event: string) => at.logged.filter((line) => line.event === event);
const setEuros = (euros: number) =>
  at.database.updateTable('breakers').set({ limit_euros: euros }).where('name', '=', 'spend').execute();

test('the loop lets go what was approved, logs each trip once, and goes on after a failure', async () => {
  await addRunning(at, 20);
  for (const agentId of ['a1', 'a2']) await change(at, agentId, 'destroy');
  let fails = true;
  const stillWanted = async () => {
    if (fails) throw new Error('Stripe is away');
    return true;
  };
  const loop = startReleasing({ ...at, stillWanted }, { lookSeconds: 0.02 });
  try {
    await vi.waitFor(() => expect(logged('breaker.tripped')).toMatchObject([{ breaker: 'destroys' }]), WAIT);
    at.clock.advance(60);
    await approve(at, 'destroys');
    await vi.waitFor(() => expect(logged('breaker.look_failed').length).toBeGreaterThan(1), WAIT);
    expect(await countQueued(at, 'destroy')).toBe(1);
    fails = false;
    await vi.waitFor(async () => expect(await isTripped(at, 'destroys')).toBe(false), WAIT);
    expect(await countQueued(at, 'destroy')).toBe(2);
    await vi.waitFor(() => expect(logged('breaker.released')).toMatchObject([{ released: 1 }]), WAIT);
    expect(logged('breaker.tripped')).toHaveLength(1);
  } finally {
    await loop.stop();
  }
});

test('prices come from Hetzner once an hour, only where there is a limit on costs', async () => {
  const cloud = await startCloud();
  const hetzner = createHetznerClient({
    token: new Secret(hcloudToken),
    endpoint: `${cloud.url}/hetzner/v1`,
  });
  const refresh = () => refreshPrices({ database: at.database, hetzner }, at.clock.now());
  expect(await refresh()).toBe(false);
  await setEuros(0.01);
  expect(await refresh()).toBe(true);
  expect(await refresh()).toBe(false);
  at.clock.advance(61);
  expect(await refresh()).toBe(true);
  const { count } = await at.database
    .selectFrom('server_prices')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  expect(count).toBeGreaterThan(10);
  expect(heldBy(await buy(at, 'b1'))).toBeUndefined();
  expect(heldBy(await buy(at, 'b2'))).toBe('spend');
});

test('a Hetzner that does not tell its prices delays nothing else', async () => {
  await setEuros(1);
  await addRunning(at, 20);
  for (const agentId of ['a1', 'a2']) await change(at, agentId, 'destroy');
  at.clock.advance(60);
  await approve(at, 'destroys');
  let asked = 0;
  const hetzner = {
    listServerPrices: async () => {
      asked += 1;
      throw new Error('unavailable');
    },
  };
  const loop = startReleasing({ ...at, hetzner }, { lookSeconds: 0.02 });
  try {
    await vi.waitFor(async () => expect(await countQueued(at, 'destroy')).toBe(2), WAIT);
  } finally {
    await loop.stop();
  }
  expect(asked).toBe(1);
  expect(logged('prices.fetch_failed')).toHaveLength(1);
});
