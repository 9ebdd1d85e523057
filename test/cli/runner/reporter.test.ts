import { expect, test } from 'vitest';
import { createReporter } from '../../../src/cli/runner/reporter.ts';
import { Lease } from '../../../src/operations/lease.ts';

interface Body {
  record?: { kind: string; lines?: string[] };
}

test('while the service is away, no more lines wait for it than it is worth', async () => {
  const back = Promise.withResolvers<void>();
  const told: string[] = [];
  const reporter = createReporter({
    link: {
      send: async (_route, body) => {
        await back.promise;
        told.push(...((body as Body).record?.lines ?? []));
        return {};
      },
    },
    lease: new Lease(Date.now() + 60_000),
    leaseMs: 60_000,
    say: () => {},
    onError: (error) => expect.unreachable(String(error)),
  });
  for (let n = 0; n < 50; n++) {
    for (let line = 0; line < 1000; line++) reporter.log(`${n}-${line} ${'x'.repeat(8_000)}`);
    // Whatever is told waits for what was told before it, the lines that are held included.
    void reporter.record({ kind: 'alive' });
  }
  back.resolve();
  await reporter.record({ kind: 'alive' });
  reporter.log('the last');
  await reporter.close(30_000);
  expect(told.length).toBeLessThan(6_000);
  expect(told[0]).toMatch(/^0-0 x+$/);
  expect(Math.max(...told.map(({ length }) => length))).toBe(4_000);
  expect(told.at(-2)).toMatch(/^… \d+ lines left out$/);
  expect(told.at(-1)).toBe('the last');
});
