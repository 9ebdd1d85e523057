import { expect, test } from 'vitest';
import { runKillMatrix } from '../../../tools/faults/kill-matrix.ts';
import type { Target } from '../../../tools/faults/strikes.ts';
import { lacking, toolEnvironment } from './tools.ts';

test.for<[string, Target[], number]>([
  ['everything, database and sandbox included', ['everything'], 2],
  ['the worker, the CLI and Ansible, each alone', ['worker', 'cli', 'ansible'], 1],
])('kill -9 of %s leaves no trace', { timeout: 400_000 }, async ([, targets, provisions], { skip }) => {
  const reason = lacking();
  skip(reason !== undefined, reason);
  const report = await runKillMatrix({
    targets,
    moments: { provision: provisions, destroy: 1 },
    tools: toolEnvironment(),
    say: () => {},
  });
  expect(
    report.strikes.flatMap(({ violations }) => violations),
    `what was seen is in ${report.dumps}`,
  ).toEqual([]);
  expect(report.strikes.filter(({ phase }) => phase === 'provision')).toHaveLength(
    targets.length * provisions,
  );
  expect(report.strikes.some(({ hit, attempts }) => hit && attempts > 1)).toBe(true);
});
