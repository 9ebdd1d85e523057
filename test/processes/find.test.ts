import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { processIdentity } from '../../src/processes/alive.mjs';
import { findProcesses, killProcesses, signal } from '../../src/processes/find.ts';
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

/** A shell with a child, and a grandchild in its own session that ignores every signal it can. */
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

test('a process is found by its environment in any session, and killed with all its descendants', async ({
  skip,
}) => {
  skip(!onLinux, 'processes can only be found on Linux');
  const tag = randomUUID();
  const pids = await startFamily({ TAG: tag });
  const other = await startFamily({ TAG: 'another' });
  const mine = (environment: ReadonlyMap<string, string>) => environment.get('TAG') === tag;
  // The shell prints a child's pid before the child has executed its program.
  await expect.poll(() => findProcesses(mine), { interval: 5 }).toEqual(expect.arrayContaining(pids));
  const ended = await killProcesses(mine);
  expect(ended).toEqual(expect.arrayContaining(pids));
  expect(findProcesses(mine).filter((pid) => processIdentity(pid) !== null)).toEqual([]);
  for (const pid of pids) expect(processIdentity(pid)).toBeNull();
  for (const pid of other) expect(processIdentity(pid)).not.toBeNull();
  await killProcesses((environment) => environment.get('TAG') === 'another');
});

test('with nothing to kill, killProcesses returns an empty list', async () => {
  expect(await killProcesses((environment) => environment.get('TAG') === randomUUID())).toEqual([]);
});

test('a signal to a dead process is not an error', () => {
  expect(() => signal(2 ** 22 - 3, 'SIGTERM')).not.toThrow();
});

test('only orphans of this installation’s dead workers are killed', async ({ skip }) => {
  skip(!onLinux, 'processes can only be found on Linux');
  const installation = randomUUID();
  const dead = `${process.pid} another boot`;
  const tagged = (worker: string, of: string = installation) => ({
    [INSTALLATION_TAG]: of,
    [WORKER_TAG]: worker,
  });
  const ofDead = await startFamily(tagged(dead));
  const ofLiving = await startFamily(tagged(workerTag()));
  const ofAnother = await startFamily(tagged(dead, 'another'));
  // As a host sees it: its worker's pid counts in another namespace.
  const inContainer = await startFamily(tagged(`${dead} pid:[1]`));
  const ended = await killOrphans(installation);
  expect(ended).toEqual(expect.arrayContaining(ofDead));
  for (const pid of ofDead) expect(processIdentity(pid)).toBeNull();
  for (const pid of [...ofLiving, ...ofAnother, ...inContainer])
    expect(processIdentity(pid), `${pid}`).not.toBeNull();
  const rest = [...ofLiving, ...ofAnother, ...inContainer];
  await killProcesses((environment) =>
    [installation as string, 'another'].includes(environment.get(INSTALLATION_TAG) ?? ''),
  );
  for (const pid of rest) expect(processIdentity(pid)).toBeNull();
});

test('a worker’s tag distinguishes its process from a later one with the same pid', () => {
  expect(isWorkerAlive(workerTag())).toBe(true);
  expect(isWorkerAlive(`${process.pid} another`)).toBe(false);
  expect(isWorkerAlive('4194301 x')).toBe(false);
  expect(isWorkerAlive('nonsense')).toBe(false);
});
