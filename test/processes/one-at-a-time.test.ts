import { expect, test } from 'vitest';
import { createOneAtATime } from '../../src/processes/one-at-a-time.ts';

test('what is asked for during a run follows it once, and all wait for its end', async () => {
  const oneAtATime = createOneAtATime();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const ran: string[] = [];
  const ask = (name: string, gate?: Promise<void>) =>
    oneAtATime(async () => {
      ran.push(name);
      await gate;
    });
  const all = [ask('first', released), ask('second'), ask('third')];
  expect(ran).toEqual(['first']);
  release();
  await Promise.all(all);
  expect(ran).toEqual(['first', 'third']);
});

test('after a failure, which all get who wait, the next one runs', async () => {
  const oneAtATime = createOneAtATime();
  const failed = oneAtATime(() => Promise.reject(new Error('it fails')));
  const waited = oneAtATime(async () => {});
  await expect(failed).rejects.toThrow('it fails');
  await expect(waited).rejects.toThrow('it fails');
  let ran = false;
  await oneAtATime(async () => {
    ran = true;
  });
  expect(ran).toBe(true);
});
