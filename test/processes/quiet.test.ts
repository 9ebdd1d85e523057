import { expect, test } from 'vitest';
import { createQuiet } from '../../src/processes/quiet.ts';

test('it is quiet for a while after each beginning, together not for long, and then not for a while', () => {
  let now = 0;
  const quiet = createQuiet({ ms: 10, mostMs: 25 }, () => now);
  const at = (time: number, begins: boolean) => {
    now = time;
    if (begins) quiet.begin();
    return quiet.isQuiet();
  };
  expect(at(0, false)).toBe(false);
  expect([at(1, true), at(10, false), at(11, false)]).toEqual([true, true, false]);
  expect([at(100, true), at(108, true), at(117, true), at(124, true)]).toEqual([true, true, true, true]);
  // It would go on for ever: what waits gets its turn.
  expect([at(125, true), at(130, true), at(134, true)]).toEqual([false, false, false]);
  expect(at(135, true)).toBe(true);
});
