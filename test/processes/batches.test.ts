import { expect, test } from 'vitest';
import { createBatches } from '../../src/processes/batches.ts';

test('what comes while a batch is under way makes the next one, in order', async () => {
  const seen: number[][] = [];
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const batches = createBatches<number>(async (items) => {
    seen.push(items);
    if (seen.length === 1) await first;
  });
  const alone = batches.add(1);
  await Promise.resolve();
  const others = [2, 3, 4].map((item) => batches.add(item));
  expect(seen).toEqual([[1]]);
  resolve();
  await Promise.all([alone, ...others]);
  expect(seen).toEqual([[1], [2, 3, 4]]);
});

test('a batch that fails fails for its own items only', async () => {
  const batches = createBatches<string>(async ([item]) => {
    if (item === 'bad') throw new Error('no');
  });
  const bad = batches.add('bad');
  await expect(bad).rejects.toThrow('no');
  await expect(batches.add('good')).resolves.toBeUndefined();
});
