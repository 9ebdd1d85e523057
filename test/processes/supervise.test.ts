import { expect, test } from 'vitest';
import { supervise } from '../../src/processes/supervise.ts';

/** A supervised fake whose starts and exits the test controls. */
function createThing() {
  const lives: { end(): void; stopped: boolean }[] = [];
  const failures: Error[] = [];
  const gates: Promise<void>[] = [];
  const start = async () => {
    await gates.shift();
    const failure = failures.shift();
    if (failure !== undefined) throw failure;
    const { promise: exited, resolve } = Promise.withResolvers<void>();
    const life = { end: resolve, stopped: false };
    lives.push(life);
    return {
      id: lives.length,
      exited,
      stop: async () => {
        life.stopped = true;
        resolve();
      },
    };
  };
  return { lives, failures, gates, start };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('The condition did not hold in time');
    await new Promise(setImmediate);
  }
}

test('a process that exits is restarted, which is logged', async () => {
  const thing = createThing();
  const said: string[] = [];
  const kept = await supervise('Postgres', thing.start, (line) => said.push(line));
  expect(kept.current().id).toBe(1);
  thing.lives[0]!.end();
  await until(() => kept.current().id === 2);
  expect(said).toEqual(['Postgres has ended unexpectedly: starting it again']);
  await kept.stop();
  expect(thing.lives.map((life) => life.stopped)).toEqual([false, true]);
});

test('a failed start is retried, except the first', async () => {
  const thing = createThing();
  thing.failures.push(new Error('no memory'));
  const said: string[] = [];
  await expect(supervise('It', thing.start, () => {})).rejects.toThrow('no memory');
  const kept = await supervise('It', thing.start, (line) => said.push(line));
  thing.failures.push(new Error('no disk'));
  thing.lives[0]!.end();
  await until(() => thing.lives.length === 2);
  expect(said).toContain('It could not be started: no disk');
  await kept.stop();
});

test('a stop ends the process and starts nothing', async () => {
  const thing = createThing();
  const kept = await supervise('It', thing.start, () => {});
  await kept.stop();
  expect(thing.lives).toMatchObject([{ stopped: true }]);
});

test('a stop during a restart waits for it and ends it too', async () => {
  const thing = createThing();
  const kept = await supervise('It', thing.start, () => {});
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  thing.gates.push(gate);
  thing.lives[0]!.end();
  await until(() => thing.gates.length === 0);
  const stopping = kept.stop();
  open();
  await stopping;
  expect(thing.lives).toHaveLength(2);
  expect(thing.lives[1]!.stopped).toBe(true);
});

test('a stop does not wait for the backoff of failed starts', async () => {
  const thing = createThing();
  const said: string[] = [];
  const kept = await supervise('It', thing.start, (line) => said.push(line));
  thing.failures.push(...Array.from({ length: 50 }, () => new Error('no')));
  thing.lives[0]!.end();
  await until(() => said.filter((line) => line.includes('could not')).length >= 3);
  const before = Date.now();
  await kept.stop();
  expect(Date.now() - before).toBeLessThan(500);
});
