import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeHistory, type HistoryCode, MOST_CODE, runHistory } from '../support/billing-history.ts';

/** `BILLING_HISTORIES=1000000` runs a million, which takes some minutes; the figure is in docs/billing.md. */
const HISTORIES = Number(process.env.BILLING_HISTORIES ?? 20_000);
const LONGEST = 16;

const histories = fc.array(fc.nat(MOST_CODE), { maxLength: LONGEST + 1, size: 'max' });

/** What a history broke; undefined if it ran to its end. */
function brokenBy(history: HistoryCode): string | undefined {
  try {
    runHistory(history);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

test(`${HISTORIES} histories of subscriptions keep every promise`, {
  timeout: 30_000 + HISTORIES * 5,
}, () => {
  const { counterexample } = fc.check(
    fc.property(histories, (history) => brokenBy(history) === undefined),
    { numRuns: HISTORIES },
  );
  // Told in words, as shrunk by fast-check.
  const told = counterexample && [describeHistory(counterexample[0]), brokenBy(counterexample[0])];
  expect(told).toBeNull();
});
