import { expect, test } from 'vitest';
import { runKillMatrix } from '../../../tools/faults/kill-matrix.ts';
import type { MatrixOptions } from '../../../tools/faults/matrix.ts';
import { lacking, toolEnvironment } from './tools.ts';

type Case = Pick<MatrixOptions, 'targets' | 'moments'>;

test.for<[string, Case]>([
  [
    'everything, database and sandbox included,',
    { targets: ['everything'], moments: { provision: 1, hibernate: 1, wake: 1, adopt: 1 } },
  ],
  [
    'the worker, the CLI and Ansible, each alone,',
    { targets: ['worker', 'cli', 'ansible'], moments: { provision: 1, destroy: 1 } },
  ],
])('kill -9 of %s leaves no trace', { timeout: 600_000 }, async ([, { targets, moments }], { skip }) => {
  const reason = lacking();
  skip(reason !== undefined, reason);
  const report = await runKillMatrix({ targets, moments, tools: toolEnvironment(), say: () => {} });
  expect(
    report.strikes.flatMap(({ violations }) => violations),
    `what was seen is in ${report.dumps}`,
  ).toEqual([]);
  for (const phase of ['provision', 'hibernate', 'wake', 'claim', 'adopt'] as const)
    expect(report.strikes.filter((strike) => strike.phase === phase)).toHaveLength(
      targets.length * (moments[phase] ?? 0),
    );
  expect(report.strikes.some(({ hit, attempts }) => hit && attempts > 1)).toBe(true);
  for (const { phase, looks } of report.strikes)
    if (phase === 'hibernate' || phase === 'wake') expect(looks).toBeGreaterThan(0);
});
