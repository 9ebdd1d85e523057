import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProgress, seconds } from '../../tools/setup/progress.mjs';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function setup(terminal: { isTTY?: boolean; columns?: number }) {
  let text = '';
  const progress = createProgress({ ...terminal, write: (part) => (text += part) });
  return { progress, written: () => text, drawn: () => text.split('\r\x1b[K').slice(1) };
}

const lasting = (ms: number) => () => new Promise<void>((resolve) => setTimeout(resolve, ms));

test('elsewhere than on a terminal: what and why, a sign of life every 10 s, how long it took', async () => {
  const { progress, written } = setup({});
  const done = progress.step('Building', 'needed', async (step) => {
    step.note('12 packages');
    await lasting(21_300)();
  });
  await vi.runAllTimersAsync();
  await done;
  expect(written()).toBe('Building (needed)\n  10.0 s, 12 packages\n  20.0 s, 12 packages\n  ok 21.3 s\n');
});

test('nothing that a program says in between is obeyed by the terminal', async () => {
  for (const terminal of [{ isTTY: true, columns: 80 }, {}]) {
    const { progress, written } = setup(terminal);
    progress.say('a\u001b[2Jb');
    const done = progress.step('Building', 'needed', async (step) => {
      step.note('\u001b[1A\u009b\n\u202e');
      await lasting(21_300)();
      step.outcome('\u001b[31mok');
    });
    await vi.runAllTimersAsync();
    await done;
    expect(written()).toContain('a\\u001b[2Jb\n');
    expect(written().replaceAll('\r\x1b[K', '')).not.toMatch(/(?!\n)[\p{Cc}\u202e]/u);
  }
});

test('on a terminal: one line, drawn over, with the seconds from the second one on', async () => {
  const { progress, drawn } = setup({ isTTY: true, columns: 80 });
  const done = progress.step('Building', 'needed', lasting(3_400));
  await vi.runAllTimersAsync();
  await done;
  expect(drawn()).toEqual([
    'Building (needed) ',
    'Building (needed) ',
    'Building (needed) 2 s',
    'Building (needed) 3 s',
    'Building (needed) ok 3.4 s\n',
  ]);
});

test('on a narrow terminal no line is longer than it', async () => {
  const { progress, drawn } = setup({ isTTY: true, columns: 30 });
  const done = progress.step('Building something with a long name', 'for a long reason', lasting(2_500));
  await vi.runAllTimersAsync();
  await done;
  expect(Math.max(...drawn().map((line) => line.trimEnd().length))).toBeLessThan(30);
  expect(drawn().at(-1)).toContain('ok 2.5 s');
});

test('a step that fails says so, one that comes to something else says what', async () => {
  const { progress, written } = setup({});
  await expect(progress.step('A', 'a', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  await progress.step('B', 'b', async (step) => step.outcome('not available'));
  expect(written()).toBe('A (a)\n  failed after 0.0 s\nB (b)\n  not available 0.0 s\n');
});

test('long times are minutes', () => {
  expect(seconds(372_000)).toBe('6 min 12 s');
});
