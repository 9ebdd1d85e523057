import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { processIdentity } from '../../src/processes/alive.mjs';
import { endProcesses, findProcesses, signal } from '../../src/processes/find.ts';
import {
  INSTALLATION_TAG,
  isWorkerAlive,
  killOrphans,
  WORKER_TAG,
  workerTag,
} from '../../src/processes/orphans.ts';

const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0))
    if (child.exitCode === null && child.pid) signal(child.pid, 'SIGKILL');
});

/** A shell with a child, and a grandchild in a session of its own that ignores what can be ignored. */
async function startFamily(environment: Record<string, string>) {
  const script = `setsid sh -c 'trap "" TERM INT HUP; echo $$; while :; do sleep 0.2; done' & sleep 300 & echo $!; wait`;
  const child = spawn('sh', ['-c', script], {
    detached: true,
    env: { PATH: process.env.PATH!, ...environment },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  started.push(child);
  let text = '';
  child.stdout.setEncoding('utf8');
  while (text.trim().split('\n').length < 2) text += (await once(child.stdout, 'data'))[0];
  return [child.pid!, ...text.trim().split('\n').map(Number)];
}

const onLinux = process.platform === 'linux';

test('a process is found by its environment wherever it has gone, and ended with all its kin', async ({
  skip,
}) => {
  skip(!onLinux, 'processes are found on Linux alone');
  const mark = randomUUID();
  const pids = await startFamily({ MARK: mark });
  const other = await startFamily({ MARK: 'another' });
  const mine = (environment: ReadonlyMap<string, string>) => environment.get('MARK') === mark;
  // The shell names its children before they have become their programs.
  await expect.poll(() => findProcesses(mine), { interval: 5 }).toEqual(expect.arrayContaining(pids));
  const ended = await endProcesses(mine);
  expect(ended).toEqual(expect.arrayContaining(pids));
  expect(findProcesses(mine).filter((pid) => processIdentity(pid) !== null)).toEqual([]);
  for (const pid of pids) expect(processIdentity(pid)).toBeNull();
  for (const pid of other) expect(processIdentity(pid)).not.toBeNull();
  await endProcesses((environment) => environment.get('MARK') === 'another');
});

test('nothing to end is nothing', async () => {
  expect(await endProcesses((environment) => environment.get('MARK') === randomUUID())).toEqual([]);
});

test('a signal to who is gone is no error', () => {
  expect(() => signal(2 ** 22 - 3, 'SIGTERM')).not.toThrow();
});

test('survivors of a dead worker of this installation are ended, and nobody else’s', async ({ skip }) => {
  skip(!onLinux, 'processes are found on Linux alone');
  const installation = randomUUID();
  const dead = `${process.pid} another boot`;
  const marked = (worker: string, of: string = installation) => ({
    [INSTALLATION_TAG]: of,
    [WORKER_TAG]: worker,
  });
  const ofDead = await startFamily(marked(dead));
  const ofLiving = await startFamily(marked(workerTag()));
  const ofAnother = await startFamily(marked(dead, 'another'));
  const ended = await killOrphans(installation);
  expect(ended).toEqual(expect.arrayContaining(ofDead));
  for (const pid of ofDead) expect(processIdentity(pid)).toBeNull();
  for (const pid of [...ofLiving, ...ofAnother]) expect(processIdentity(pid), `${pid}`).not.toBeNull();
  const rest = [...ofLiving, ...ofAnother];
  await endProcesses((environment) =>
    [installation as string, 'another'].includes(environment.get(INSTALLATION_TAG) ?? ''),
  );
  for (const pid of rest) expect(processIdentity(pid)).toBeNull();
});

test('a worker’s mark tells its process from a later one of the same number', () => {
  expect(isWorkerAlive(workerTag())).toBe(true);
  expect(isWorkerAlive(`${process.pid} another`)).toBe(false);
  expect(isWorkerAlive('4194301 x')).toBe(false);
  expect(isWorkerAlive('nonsense')).toBe(false);
});
