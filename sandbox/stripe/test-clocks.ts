import { z } from 'zod';
import type { MovingClock } from '../clock/due-work.ts';
import { runAt } from '../clock/moment.ts';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import type { Endpoints } from './endpoint.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { insertObject, listObjects, lockObject, saveObject } from './objects.ts';
import { integer, text } from './parameters.ts';
import { mountResource, type Resource } from './resource.ts';
import { endSubscription } from './subscription-changes.ts';
import { toPeriodEnd } from './subscription-object.ts';
import { sandboxMoment } from './transact.ts';
import { type Customer, newId, nowSeconds, type Subscription, type TestClock } from './wire.ts';

const KIND = 'test_helpers.test_clock';
const DAY_SECONDS = 24 * 3600;
const KEPT_DAYS = 30;
const MOST_INTERVALS = 2;
/** How far a clock without subscriptions can be moved at once. */
const MOST_DAYS = 2 * 365;

export const testClocks: Resource<TestClock> = {
  object: KIND,
  path: '/test_helpers/test_clocks',
  filters: {},
  expandable: {},
};

/** Serves test clocks: the customers of one live in its time, with everything that belongs to them. */
export function mountTestClocks(endpoints: Endpoints): void {
  mountResource(endpoints, testClocks);
  const { path } = testClocks;
  const moment = integer.pipe(z.number().min(0));
  const created = { answers: KIND, parameters: { frozen_time: moment, name: text.max(300).optional() } };
  endpoints.post(path, created, (trx, { input }) => createTestClock(trx, input.frozen_time, input.name));
  const advanced = { answers: KIND, parameters: { frozen_time: moment } };
  endpoints.post(`${path}/:id/advance`, advanced, (trx, { id, input }) =>
    advanceTestClock(trx, id, input.frozen_time),
  );
  endpoints.delete(`${path}/:id`, { answers: KIND, parameters: {} }, (trx, { id }) =>
    deleteTestClock(trx, id),
  );
}

/** Lists the test clocks that are on their way, also those that a kill has interrupted. */
export async function listMovingClocks(database: SandboxDatabase): Promise<MovingClock[]> {
  const { data } = await listObjects<TestClock>(database, KIND, {
    filter: { status: 'advancing' },
    page: { limit: 100 },
  });
  return data.map(({ id, frozen_time, status_details }) => {
    const target = status_details.advancing?.target_frozen_time ?? frozen_time;
    return {
      clock: id,
      until: () => new Date(target * 1000),
      arrived: (trx) => finish(trx, id, target),
    };
  });
}

async function finish(trx: SandboxTransaction, id: string, target: number): Promise<void> {
  await runAt(await sandboxMoment(trx), async () => {
    const clock = await lockObject<TestClock>(trx, KIND, id);
    if (clock.status !== 'advancing') return;
    const ready: TestClock = { ...clock, frozen_time: target, status: 'ready', status_details: {} };
    await saveObject(trx, ready);
    await emitEvent(trx, { type: 'test_helpers.test_clock.ready', object: ready });
  });
}

async function createTestClock(
  trx: SandboxTransaction,
  frozenTime: number,
  name: string | undefined,
): Promise<TestClock> {
  const created = nowSeconds();
  const clock: TestClock = {
    id: newId('clock'),
    object: KIND,
    created,
    deletes_after: created + KEPT_DAYS * DAY_SECONDS,
    frozen_time: frozenTime,
    livemode: false,
    name: name ?? null,
    status: 'ready',
    status_details: {},
  };
  await insertObject(trx, clock);
  await emitEvent(trx, { type: 'test_helpers.test_clock.created', object: clock });
  return clock;
}

/** Sets where a clock goes. The sandbox's own clock loop takes it there. */
async function advanceTestClock(trx: SandboxTransaction, id: string, target: number): Promise<TestClock> {
  const clock = await lockObject<TestClock>(trx, KIND, id);
  const refuse = (message: string) => invalidRequest(message, { param: 'frozen_time' });
  if (clock.status !== 'ready')
    throw invalidRequest('Test clock advancement underway - cannot perform modifications.');
  if (target <= clock.frozen_time)
    throw refuse('The frozen_time must be after the current frozen_time of the test clock.');
  if (target > (await furthest(trx, clock)))
    throw refuse(
      'The frozen_time cannot be more than two intervals in the future from the shortest subscription in this test clock, or two years without one.',
    );
  const advancing: TestClock = {
    ...clock,
    status: 'advancing',
    status_details: { advancing: { target_frozen_time: target } },
  };
  await saveObject(trx, advancing);
  await emitEvent(trx, { type: 'test_helpers.test_clock.advancing', object: advancing });
  return advancing;
}

/** Two intervals of the shortest subscription: otherwise its second renewal could not be looked at. */
async function furthest(trx: SandboxTransaction, { id, frozen_time }: TestClock): Promise<number> {
  const ends = (await listLive(trx, id)).flatMap((subscription) =>
    subscription.items.data.map(({ price }) => {
      let end = frozen_time;
      for (let count = 0; count < MOST_INTERVALS; count++) end = toPeriodEnd(price, end, frozen_time);
      return end;
    }),
  );
  return ends.length > 0 ? Math.min(...ends) : frozen_time + MOST_DAYS * DAY_SECONDS;
}

/** Deletes a clock with its customers. Their subscriptions end, in the clock's time. */
async function deleteTestClock(trx: SandboxTransaction, id: string): Promise<object> {
  const clock = await lockObject<TestClock>(trx, KIND, id);
  await runAt({ at: new Date(clock.frozen_time * 1000), clock: id }, async () => {
    for (const subscription of await listLive(trx, id))
      await endSubscription(trx, subscription, { reason: 'cancellation_requested' });
    for (const customer of await listCustomers(trx, id)) {
      await trx.deleteFrom('stripe_objects').where('id', '=', customer.id).execute();
      await emitEvent(trx, { type: 'customer.deleted', object: customer });
    }
  });
  await trx.updateTable('stripe_objects').set({ next_at: null }).where('clock', '=', id).execute();
  await trx.deleteFrom('stripe_objects').where('id', '=', id).execute();
  await emitEvent(trx, { type: 'test_helpers.test_clock.deleted', object: clock });
  return { id, object: KIND, deleted: true };
}

const EVERYTHING = { limit: 10_000 };

async function listCustomers(trx: SandboxTransaction, test_clock: string): Promise<Customer[]> {
  const options = { filter: { test_clock }, page: EVERYTHING };
  return (await listObjects<Customer>(trx, 'customer', options)).data;
}

async function listLive(trx: SandboxTransaction, test_clock: string): Promise<Subscription[]> {
  const options = { filter: { test_clock }, except: { status: 'canceled' }, page: EVERYTHING };
  const { data } = await listObjects<Subscription>(trx, 'subscription', options);
  return data.filter(({ status }) => status !== 'incomplete_expired');
}
