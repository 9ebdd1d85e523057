import { expect, test } from 'vitest';
import { stepWords } from '../../src/dashboard/words.ts';

test.each([
  ['creating_server', 'Creating the server'],
  ['a_step of one’s own', 'A step of one’s own'],
  ['constructor', 'Constructor'],
  ['toString', 'ToString'],
  ['__proto__', '  proto  '],
])('the step %s is %s, even if objects inherit a property of that name', (step, words) => {
  expect(stepWords(step)).toBe(words);
});
