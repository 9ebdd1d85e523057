import { expect, test } from 'vitest';
import { Lease } from '../../src/processes/lease.ts';
import { createReporter } from '../../src/runner/reporter.ts';
import type { ServiceLink } from '../../src/runner/service-link.ts';

type Sent = { record?: { kind: string; lines?: string[] }; step?: string };

/** A service that accepts reports only when `answer` is called. */
function setup() {
  const sent: Sent[] = [];
  const waiting: (() => void)[] = [];
  let open = false;
  const link: ServiceLink = {
    send: async (_route, body) => {
      if (!open) await new Promise<void>((resolve) => waiting.push(resolve));
      sent.push(body as Sent);
      return {};
    },
  };
  const reporter = createReporter({
    link,
    lease: new Lease(Date.now() + 60_000),
    leaseMs: 60_000,
    say: () => {},
    onError: (error) => expect.unreachable(String(error)),
  });
  const answer = () => {
    open = true;
    for (const resolve of waiting.splice(0)) resolve();
  };
  return { reporter, sent, answer, lines: () => sent.flatMap(({ record }) => record?.lines ?? []) };
}

test('of a flood that the service cannot take, the last lines and the gap are reported', async () => {
  const { reporter, answer, lines, sent } = setup();
  reporter.step('configuring');
  for (let line = 0; line < 100_000; line += 1) reporter.log(`line ${line}`);
  reporter.log(`${'a\n'.repeat(200_000)}the last word`);
  answer();
  await reporter.close(20_000);
  expect(lines().at(-1)).toBe('the last word');
  expect(lines().filter((line) => /^… \d+ lines omitted/.test(line))).not.toEqual([]);
  expect(lines().length).toBeLessThan(2_100);
  expect(sent.filter(({ step }) => step === 'configuring')).toHaveLength(1);
});

test('lines and steps are reported in order', async () => {
  const { reporter, answer, sent } = setup();
  reporter.log('one');
  reporter.step('creating_server');
  reporter.log('two');
  reporter.step('configuring');
  reporter.log('three');
  answer();
  await reporter.close(20_000);
  expect(sent.map(({ record, step }) => step ?? record?.lines?.join())).toEqual([
    'one',
    'creating_server',
    'two',
    'configuring',
    'three',
  ]);
});
