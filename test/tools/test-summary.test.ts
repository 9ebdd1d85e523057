import { expect, test } from 'vitest';
import { summarize } from '../../tools/test-summary.mjs';

const record = { passed: 3, failed: 0, broken: [], skipped: [] };
const skipped = [{ name: 'boots', reason: 'needs root' }];

test('the last line has the counts', () => {
  expect(summarize(record, { exitCode: 0, strict: true })).toEqual({
    lines: ['3 passed, 0 failed, 0 skipped'],
    ok: true,
  });
});

test('skips are listed with their reasons, and are failures only where that is asked for', () => {
  const relaxed = summarize({ ...record, skipped }, { exitCode: 0, strict: false });
  expect(relaxed).toEqual({
    lines: ['skipped: boots: needs root', '3 passed, 0 failed, 1 skipped'],
    ok: true,
  });
  const strict = summarize({ ...record, skipped }, { exitCode: 0, strict: true });
  expect(strict.ok).toBe(false);
  expect(strict.lines.at(-1)).toBe('3 passed, 0 failed, 1 skipped');
});

test.each([
  ['a failed test', { ...record, failed: 2 }, 1, '3 passed, 2 failed, 0 skipped'],
  ['a file that cannot be loaded', { ...record, broken: ['a.test.ts'] }, 1, '3 passed, 1 failed, 0 skipped'],
  ['no tests at all', { ...record, passed: 0 }, 0, '0 passed, 1 failed, 0 skipped'],
  ['an end without a record', null, null, '0 passed, 1 failed, 0 skipped'],
  ['an exit code for no visible reason', record, 1, '3 passed, 1 failed, 0 skipped'],
])('%s is a failure', (_what, result, exitCode, last) => {
  const { lines, ok } = summarize(result, { exitCode, strict: false });
  expect(ok).toBe(false);
  expect(lines.at(-1)).toBe(last);
});
