import { expect, test } from 'vitest';
import { printable, printableLines } from '../../src/processes/terminal-text.mjs';

test.each([
  ['a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['\u009b2J', '\\u009b2J'],
  ['one\r\ntwo\nthree', 'one\\u000d\\u000atwo\\u000athree'],
  ['bell\u0007, back\b, none\0, gone\u007f', 'bell\\u0007, back\\u0008, none\\u0000, gone\\u007f'],
  ['\u202egnp.exe\u2066x\u200f', '\\u202egnp.exe\\u2066x\\u200f'],
  ['a\u2028b', 'a\\u2028b'],
  ['a\tb, ümläut, 日本, 🙂, 👩‍💻', 'a\tb, ümläut, 日本, 🙂, 👩‍💻'],
])('%j is escaped', (text, shown) => {
  expect(printable(text)).toBe(shown);
});

test('no control character is left except tabs', () => {
  const all = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join('');
  expect(printable(all)).not.toMatch(/(?!\t)[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
});

test('the lines of a text cannot pass for ours', () => {
  expect(printableLines('no answer\n  a1  provision  SUCCEEDED\r\n\u001b[1A', '  | ')).toBe(
    'no answer\n  |   a1  provision  SUCCEEDED\n  | \\u001b[1A',
  );
});

test('JSON keeps its meaning', () => {
  const value = { text: 'a\u009b\u202e\u007f\u001b\n\t"\\' };
  const shown = printableLines(JSON.stringify(value, null, 2));
  expect(JSON.parse(shown)).toEqual(value);
  expect(shown).not.toMatch(/[\u007f-\u009f\u202e]/);
});
