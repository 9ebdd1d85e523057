import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Queue, startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { openEmpty } from '../database/support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
let queue: Queue;
beforeAll(async () => {
  at = await openEmpty();
  queue = await startQueue({ url: new Secret(at.url), log: pino({ level: 'silent' }) });
});
afterAll(async () => {
  await queue.stop();
  await at.close();
});

const job = { operationId: '1ecffc42-ebb5-44b8-a1b7-320d24939b5d', agentId: 'a1' };

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('The condition did not hold in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('wakes at once and once per committed announcement, and never for one that was rolled back', async () => {
  let wakes = 0;
  let fails = true;
  await queue.work(2, async () => {
    wakes += 1;
    if (fails) throw new Error('whatever comes of it');
  });
  await at.database.transaction().execute((trx) => queue.announce(trx, job));
  const before = Date.now();
  await until(() => wakes === 1);
  expect(Date.now() - before).toBeLessThan(2_000);
  fails = false;
  const rolledBack = at.database.transaction().execute(async (trx) => {
    await queue.announce(trx, job);
    throw new Error('rolled back');
  });
  await expect(rolledBack).rejects.toThrow('rolled back');
  await at.database.transaction().execute((trx) => queue.announce(trx, job));
  await until(() => wakes === 2);
  // A later announcement has arrived, so the rolled-back one would have arrived too.
  expect(wakes).toBe(2);
  const later = new Date(Date.now() + 3_600_000);
  await at.database.transaction().execute((trx) => queue.announce(trx, { ...job, startAfter: later }));
  await at.database.transaction().execute((trx) => queue.announce(trx, job));
  await until(() => wakes === 3);
  expect(wakes).toBe(3);
});

test('is ready until it stops', async () => {
  const other = await startQueue({ url: new Secret(at.url), log: pino({ level: 'silent' }) });
  expect(other.isReady()).toBe(true);
  await other.stop();
  expect(other.isReady()).toBe(false);
});
