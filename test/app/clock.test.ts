import { sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openClock } from '../../src/app/clock.ts';
import type { Config } from '../../src/config/config.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { type SandboxFixture, setup } from '../support/sandbox.ts';
import { advance, DAY } from '../support/sandbox-clock.ts';

let sandbox: SandboxFixture;
let service: OperationsFixture;
beforeAll(async () => {
  sandbox = await setup();
  service = await openOperations();
  await sql`insert into installation (mode, accounts) values ('sandbox', '{}') on conflict do nothing`.execute(
    service.database,
  );
});
afterAll(async () => {
  await service.close();
  await sandbox.close();
});

function open(mode: Config['mode'], apiUrl: string | undefined) {
  const stripe = { secretKey: new Secret('sk_test_clock'), webhookSecrets: [], apiUrl };
  const { database } = service;
  const log = pino({ level: 'silent' });
  const clock = openClock({ config: { mode }, connections: { stripe }, database, log });
  onTestFinished(() => clock.stop());
  return clock;
}
const aheadDays = (clock: { now(): Date }) => Math.round((clock.now().getTime() - Date.now()) / 1000 / DAY);

test.each(['sandbox', 'rehearsal'] as const)('in %s mode the service follows the clock', async (mode) => {
  const clock = open(mode, sandbox.url);
  expect(await clock.refresh()).toBe(true);
  const before = aheadDays(clock);
  await advance(sandbox, 3 * DAY);
  await expect.poll(() => aheadDays(clock), { timeout: 10_000 }).toBe(before + 3);
  // The database's own function follows, for rows that are written in the middle of a transaction.
  await expect.poll(databaseAheadDays).toBe(before + 3);
});

async function databaseAheadDays(): Promise<number> {
  const { rows } = await sql<{ days: string }>`
    select round(extract(epoch from business_now() - now()) / ${DAY}) as days`.execute(service.database);
  return Number(rows[0]?.days);
}

test('without a clock that answers it is the system’s time, and so it is in live mode', async () => {
  await advance(sandbox, 3 * DAY);
  const silent = open('rehearsal', 'http://127.0.0.1:1');
  expect(await silent.refresh()).toBe(false);
  expect([silent, open('rehearsal', undefined), open('live', sandbox.url)].map(aheadDays)).toEqual([0, 0, 0]);
});
