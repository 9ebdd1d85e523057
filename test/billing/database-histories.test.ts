import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeHistory, MOST_CODE } from '../support/billing-history.ts';
import { createHistoryRunner, type HistoryRunner } from '../support/database-history.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { ScriptedStripe } from '../support/scripted-stripe.ts';

/** `BILLING_DATABASE_HISTORIES=1000` is the full proof. */
const HISTORIES = Number(process.env.BILLING_DATABASE_HISTORIES ?? 15);
const LONGEST = 16;
/** A second each on a quiet machine. */
const LIMIT_MS = 120_000 + HISTORIES * 5_000;

let operations: OperationsFixture;
let stripe: ScriptedStripe;
let runner: HistoryRunner;
beforeAll(async () => {
  operations = await openOperations();
  stripe = await ScriptedStripe.start();
  runner = await createHistoryRunner(operations, stripe);
});
afterAll(async () => {
  await stripe.stop();
  await operations.close();
});

const histories = fc.array(fc.nat(MOST_CODE), { maxLength: LONGEST + 1, size: 'max' });

test(`${HISTORIES} histories end in the rows as the decisions say`, {
  timeout: LIMIT_MS + 60_000,
}, async () => {
  /** Of the last history that differed. */
  let differences: string[] = [];
  const { counterexample, failed, numRuns } = await fc.check(
    fc.asyncProperty(histories, async (history) => {
      const found = await runner.run(history);
      if (found.length > 0) differences = found;
      return found.length === 0;
    }),
    // A counterexample is shrunk as far as the time goes.
    { numRuns: HISTORIES, interruptAfterTimeLimit: LIMIT_MS, markInterruptAsFailure: true },
  );
  // Told in words, as shrunk by fast-check.
  const told = counterexample && [describeHistory(counterexample[0]), differences];
  expect(told).toBeNull();
  expect({ failed, numRuns }).toEqual({ failed: false, numRuns: HISTORIES });
  expect(runner.counts.operations).toBeGreaterThanOrEqual(HISTORIES);
  if (HISTORIES >= 100) console.log(JSON.stringify({ histories: HISTORIES, ...runner.counts }));
});
