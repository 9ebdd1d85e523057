import { pino } from 'pino';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openClock } from '../../src/app/clock.ts';
import type { Config } from '../../src/config/config.ts';
import { Secret } from '../../src/secret.ts';
import { type SandboxFixture, setup } from '../support/sandbox.ts';
import { advance, DAY } from '../support/sandbox-clock.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

function open(mode: Config['mode'], apiUrl: string | undefined) {
  const stripe = { secretKey: new Secret('sk_test_clock'), webhookSecrets: [], apiUrl };
  const clock = openClock({ config: { mode }, connections: { stripe }, log: pino({ level: 'silent' }) });
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
});

test('without a clock that answers it is the system’s time, and so it is in live mode', async () => {
  await advance(sandbox, 3 * DAY);
  const silent = open('rehearsal', 'http://127.0.0.1:1');
  expect(await silent.refresh()).toBe(false);
  expect([silent, open('rehearsal', undefined), open('live', sandbox.url)].map(aheadDays)).toEqual([0, 0, 0]);
});
