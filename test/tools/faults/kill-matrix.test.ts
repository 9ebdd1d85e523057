import { expect, test } from 'vitest';
import { strikeAtWork } from '../../../tools/faults/kill-matrix.ts';
import { lacking, toolEnvironment } from './tools.ts';

// Moments spread over every operation, and all targets: `npm run faults -- --matrix`.
test('kill -9 of everything, and of the worker, the CLI and Ansible alone, in the middle of operations leaves no trace', {
  timeout: 600_000,
}, async ({ skip }) => {
  const reason = lacking();
  skip(reason !== undefined, reason);
  const report = await strikeAtWork(
    [
      { targets: ['worker', 'cli'], moments: { provision: 1, destroy: 1 } },
      { targets: ['ansible'], moments: { provision: 1 } },
      { targets: ['everything'], moments: { provision: 1, hibernate: 1, wake: 1, adopt: 1 } },
    ],
    { tools: toolEnvironment(), say: () => {} },
  );
  expect(
    report.strikes.flatMap(({ violations }) => violations),
    `what was seen is in ${report.dumps}`,
  ).toEqual([]);
  expect(report.strikes.map(({ target, phase }) => `${target} ${phase}`)).toEqual([
    'worker provision',
    'worker destroy',
    'cli provision',
    'cli destroy',
    'ansible provision',
    'everything provision',
    'everything hibernate',
    'everything wake',
    'everything adopt',
  ]);
  // Each met its operation, which began once more.
  expect(report.strikes.filter(({ hit, attempts }) => !hit || attempts < 2)).toEqual([]);
  for (const { phase, looks } of report.strikes)
    if (phase === 'hibernate' || phase === 'wake') expect(looks).toBeGreaterThan(0);
});
