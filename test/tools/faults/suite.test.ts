import { expect, test } from 'vitest';
import { runSuite } from '../../../tools/faults/suite.ts';
import { lacking, toolEnvironment } from './tools.ts';

/** Three orders, and a kill of a worker, a CLI and Postgres: `npm run faults` goes on. */
const ROUNDS = 3;

test(`${ROUNDS} random rounds on a real installation violate nothing`, { timeout: 400_000 }, async ({
  skip,
}) => {
  const reason = lacking();
  skip(reason !== undefined, reason);
  const report = await runSuite({
    rounds: ROUNDS,
    seed: 1,
    workers: 2,
    pool: 0,
    tools: toolEnvironment(),
    say: () => {},
  });
  expect(report.violations, `what was seen is in ${report.dump}`).toEqual([]);
  expect(report.rounds).toBe(ROUNDS);
  expect(report.orders).toBeGreaterThan(2);
  for (const struck of ['kill worker', 'kill cli', 'restart Postgres'])
    expect(report.counts[struck], struck).toBeGreaterThan(0);
  expect(report.lost).toBeGreaterThan(0);
});
