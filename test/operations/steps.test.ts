import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { STEPS, stepLabel } from '../../src/operations/steps.ts';

test('every step that a runbook or a builder begins is known', () => {
  const folders = ['src/runbooks', 'src/images', 'src/executors', 'src/operations', 'src/agents'];
  const begun = folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .flatMap((name) => [...readFileSync(join(folder, name), 'utf8').matchAll(/\bstep(?:\(|: )'(\w+)'/g)])
      .map(([, step]) => step!),
  );
  expect(begun.length).toBeGreaterThan(40);
  expect([...new Set(begun)].filter((step) => !(STEPS as readonly string[]).includes(step))).toEqual([]);
});

test('what a foreign runner calls a step is no label', () => {
  expect(stepLabel('creating_server')).toBe('creating_server');
  for (const foreign of ['', 'Creating server 203.0.113.7', 'toString', 'other'])
    expect(stepLabel(foreign)).toBe('other');
});
