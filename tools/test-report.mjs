import { writeFileSync } from 'node:fs';

/**
 * The result of a test run. `broken`: files and runs that failed without a failing test.
 * @typedef {{
 *   passed: number, failed: number, broken: string[], skipped: { name: string, reason: string }[],
 * }} TestRecord
 */

/** A vitest reporter that writes the record to a file; vitest's own JSON lacks the reasons for skips. */
export default class TestRecordReporter {
  /**
   * @param {readonly import('vitest/node').TestModule[]} modules
   * @param {readonly unknown[]} unhandledErrors
   */
  onTestRunEnd(modules, unhandledErrors) {
    const path = process.env.AGENT_STACKS_TEST_RECORD;
    if (path === undefined) throw new Error('AGENT_STACKS_TEST_RECORD is not set');
    writeFileSync(path, JSON.stringify(toRecord(modules, unhandledErrors)));
  }
}

/**
 * @param {readonly import('vitest/node').TestModule[]} modules
 * @param {readonly unknown[]} unhandledErrors
 * @returns {TestRecord}
 */
function toRecord(modules, unhandledErrors) {
  /** @type {TestRecord} */
  const record = { passed: 0, failed: 0, broken: [], skipped: [] };
  for (const module of modules) {
    const failedBefore = record.failed;
    for (const test of module.children.allTests()) {
      const result = test.result();
      if (result.state === 'passed') record.passed += 1;
      else if (result.state === 'skipped')
        record.skipped.push({ name: test.fullName, reason: result.note ?? '' });
      else record.failed += 1;
    }
    if (!module.ok() && record.failed === failedBefore) record.broken.push(module.relativeModuleId);
  }
  if (unhandledErrors.length > 0) record.broken.push(`${unhandledErrors.length} errors outside any test`);
  return record;
}
