import { type Moment, runAt, SANDBOX_CLOCK } from '../clock/moment.ts';
import { holdClock, readClock } from '../clock/store.ts';
import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { invalidRequest } from './errors.ts';
import { readObject } from './objects.ts';
import type { TestClock } from './wire.ts';

/**
 * Runs a change in a transaction, at the present time of the clock that the objects with these ids follow.
 * Meanwhile no clock moves. What is stored within it is due by that clock.
 * @throws StripeError 400 if that is a test clock on its way
 */
export async function transact<T>(
  database: SandboxDatabase,
  ids: readonly string[],
  work: (trx: SandboxTransaction) => Promise<T>,
): Promise<T> {
  return database.transaction().execute(async (trx) => {
    await holdClock(trx);
    return runAt(await findMoment(trx, ids), () => work(trx));
  });
}

/** Returns the present moment of the sandbox's clock. */
export async function sandboxMoment(database: SandboxDatabase): Promise<Moment> {
  return { at: (await readClock(database)).now, clock: SANDBOX_CLOCK };
}

async function findMoment(trx: SandboxTransaction, ids: readonly string[]): Promise<Moment> {
  const clock = await findTestClock(trx, ids);
  if (clock === undefined) return sandboxMoment(trx);
  const { status, frozen_time } = await readObject<TestClock>(trx, 'test_helpers.test_clock', clock);
  if (status !== 'ready')
    throw invalidRequest('Test clock advancement underway - cannot perform modifications.');
  return { at: new Date(frozen_time * 1000), clock };
}

/** Returns the test clock among these objects, or the one that they follow. */
async function findTestClock(trx: SandboxTransaction, ids: readonly string[]): Promise<string | undefined> {
  if (ids.length === 0) return undefined;
  const rows = await trx
    .selectFrom('stripe_objects')
    .select(['id', 'object', 'clock'])
    .where('id', 'in', ids)
    .execute();
  const clocks = rows.map((row) => (row.object === 'test_helpers.test_clock' ? row.id : row.clock));
  return clocks.find((clock) => clock !== SANDBOX_CLOCK);
}
