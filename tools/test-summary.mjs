/** @typedef {import('./test-report.mjs').TestRecord} TestRecord */

/**
 * Returns the last lines of `npm test`, ending with the counts, and whether all is well. A failure without a
 * failing test counts as failed, as does a run without tests, and with `strict` every skipped test.
 * @param {TestRecord | null} record  `null`: the run ended before it was written
 * @param {{ exitCode: number | null, strict: boolean }} run
 * @returns {{ lines: string[], ok: boolean }}
 */
export function summarize(record, run) {
  const { passed, failed, broken, skipped } = record ?? { passed: 0, failed: 0, broken: [], skipped: [] };
  const lines = skipped.map(({ name, reason }) => `skipped: ${name}: ${reason || 'no reason given'}`);
  const faults = broken.map((what) => `failed without a failing test: ${what}`);
  if (record === null) faults.push('the tests did not run to their end');
  else if (passed + failed + skipped.length + broken.length === 0) faults.push('no tests were found');
  if (run.exitCode !== 0 && failed + faults.length === 0) faults.push(`vitest ended with ${run.exitCode}`);
  if (run.strict && skipped.length > 0) lines.push('CI is set: a skipped test is a failure');
  const allFailed = failed + faults.length;
  lines.push(...faults, `${passed} passed, ${allFailed} failed, ${skipped.length} skipped`);
  return { lines, ok: allFailed === 0 && !(run.strict && skipped.length > 0) };
}
