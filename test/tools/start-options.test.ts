import { expect, test } from 'vitest';
import { startOptionsProblem } from '../../tools/setup/start-options.mjs';

test.each([[[]], [['--role', 'worker']], [['--role=api']], [['--role', 'all']], [['--role', 'migrate']]])(
  '%j is fine',
  (args) => {
    expect(startOptionsProblem(args)).toBeNull();
  },
);

test.each([
  [['--rol', 'api'], /Unknown option '--rol'/],
  [['api'], /Unexpected argument 'api'/],
  [['--role', 'boss'], /Unknown role: boss/],
  [['--role'], /argument missing/],
])('%j is refused with the reason and the usage', (args, reason) => {
  expect(startOptionsProblem(args)).toMatch(reason);
  expect(startOptionsProblem(args)).toContain('npm start -- [--role all|api|worker|migrate]');
});
