import { expect, test } from 'vitest';
import { sharedReads } from '../../src/dashboard/shared-reads.ts';

/** Readings that end when the test says so, each with what it has read. */
function readings() {
  const begun: { key: string; end(value: number): void; fail(): void }[] = [];
  const read = sharedReads<string, number>((key) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    begun.push({ key, end: resolve, fail: () => reject(new Error('away')) });
    return promise;
  });
  return { begun, read };
}

test('fifty that ask at the same moment cost two readings, and none gets what was read before it asked', async () => {
  const { begun, read } = readings();
  const first = read('a');
  const others = Array.from({ length: 49 }, () => read('a'));
  expect(begun).toHaveLength(1);
  begun[0]!.end(1);
  expect(await first).toBe(1);
  await Promise.resolve();
  expect(begun).toHaveLength(2);
  const late = read('a');
  begun[1]!.end(2);
  expect(new Set(await Promise.all(others))).toEqual(new Set([2]));
  await Promise.resolve();
  expect(begun).toHaveLength(3);
  begun[2]!.end(3);
  expect(await late).toBe(3);
});

test('other keys are read at once, and a reading that fails fails for its own alone', async () => {
  const { begun, read } = readings();
  const first = read('a');
  const other = read('b');
  const next = read('a');
  expect(begun.map(({ key }) => key)).toEqual(['a', 'b']);
  begun[0]!.fail();
  await expect(first).rejects.toThrow('away');
  begun[1]!.end(5);
  expect(await other).toBe(5);
  begun[2]!.end(6);
  expect(await next).toBe(6);
  const afterwards = read('a');
  begun[3]!.end(7);
  expect(await afterwards).toBe(7);
});
