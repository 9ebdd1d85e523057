import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEventHub } from '../../../src/operations/events/event-hub.ts';
import { Secret } from '../../../src/secret.ts';
import { type DatabaseProxy, startProxy } from '../../../tools/faults/database-proxy.ts';
import { createDatabase, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
let proxy: DatabaseProxy;
beforeAll(async () => {
  database = await createDatabase();
  proxy = await startProxy(database.url);
});
afterAll(async () => {
  await proxy.cut();
  await database.drop();
});

test('a server that falls silent is left, and all are woken once there is another connection', async () => {
  const log = pino({ level: 'silent' });
  const checks = { intervalMs: 100, timeoutMs: 300 };
  const events = createEventHub({ url: new Secret(proxy.url), log, checks });
  let woken = 0;
  events.subscribe('one', () => {
    woken += 1;
  });
  await expect.poll(() => woken, { timeout: 10_000 }).toBe(1);
  proxy.silence();
  await expect.poll(() => woken, { timeout: 10_000 }).toBe(2);
  await events.close();
});
