import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CancelledError, LostError, PermanentError } from '../../../src/errors.ts';
import { createLog } from '../../../src/log.ts';
import { processIdentity } from '../../../src/processes/alive.mjs';
import { findProcesses } from '../../../src/processes/find.ts';
import { Lease } from '../../../src/processes/lease.ts';
import {
  createEnginePool,
  type EnginePool,
  type EnginePoolOptions,
} from '../../../src/pulumi/engine/engine-pool.ts';
import { ENGINE_TAG, removeOrphanedWork } from '../../../src/pulumi/engine/engine-process.ts';
import type { EngineSettings } from '../../../src/pulumi/engine/run-stack.ts';
import { compileCache } from '../../support/commands.ts';

/** Real runner processes. A script whose behaviour the test chooses stands in for the Pulumi CLI. */
let folder: string;
let pool: EnginePool;
const mark = `pool-test-${process.pid}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'agent-stacks-runner-'));
  mkdirSync(join(folder, 'bin'));
  const cli = join(folder, 'bin', 'pulumi');
  copyFileSync(fileURLToPath(new URL('processes/pulumi', import.meta.url)), cli);
  chmodSync(cli, 0o755);
  pool = openPool({ idle: 1 });
});

const openPool = (
  waiting: Partial<EnginePoolOptions> & { idle: number },
  settings: Partial<EngineSettings> = {},
) =>
  createEnginePool({
    settings: { pulumi: join(folder, 'bin', 'pulumi'), workDir: join(folder, 'runs'), ...settings },
    environment: { PATH: process.env.PATH!, HOME: folder, ...compileCache },
    processTags: { POOL_TEST: mark },
    ...waiting,
  });
afterEach(async () => {
  await pool.stop();
  expect(tagged()).toEqual([]);
  expect(existsSync(join(folder, 'runs')) ? readdirSync(join(folder, 'runs')) : []).toEqual([]);
  rmSync(folder, { recursive: true });
});

const tagged = () =>
  findProcesses((environment) => environment.get('POOL_TEST') === mark).filter(
    (pid) => processIdentity(pid) !== null,
  );
const runners = () => [
  ...new Set(
    tagged().flatMap((pid) => {
      const found = new RegExp(`${ENGINE_TAG}=([^\\0]+)`).exec(readFileSync(`/proc/${pid}/environ`, 'utf8'));
      return found?.[1] ?? [];
    }),
  ),
];
const pids = () =>
  existsSync(join(folder, 'pids'))
    ? readFileSync(join(folder, 'pids'), 'utf8').trim().split('\n').map(Number)
    : [];

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('The condition did not hold in time');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function run(behaviour: string, { leaseMs = 60_000, signal = new AbortController().signal } = {}) {
  return pool.run(
    {
      verb: 'unlock',
      stackName: 'foundation-default',
      environment: {
        PULUMI_BACKEND_URL: `file://${folder}`,
        FAKE_PULUMI: behaviour,
        FAKE_PIDS: join(folder, 'pids'),
      },
    },
    { signal, lease: new Lease(Date.now() + leaseMs), onProgress: () => {} },
  );
}

test('a runner is reused after a success and replaced after a failure', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  expect(await run('succeed')).toMatchObject({ processes: 1 });
  const [first, ...more] = runners();
  expect(more).toEqual([]);
  await run('succeed');
  expect(runners()).toEqual([first]);
  await expect(run('fail')).rejects.toBeInstanceOf(PermanentError);
  expect(runners()).toEqual([]);
  await run('succeed');
  expect(runners()).toHaveLength(1);
  expect(runners()).not.toContain(first);
});

test('the end of the lease kills the runner and all its descendants, whatever they ignore', async ({
  skip,
}) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await run('succeed');
  // It would run for five minutes.
  await expect(run('hang', { leaseMs: 1_500 })).rejects.toBeInstanceOf(LostError);
  expect(pids()).toHaveLength(3);
  for (const pid of pids()) expect(processIdentity(pid)).toBeNull();
});

test('a lost attempt is killed at once, with the abort’s reason as its error', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  const controller = new AbortController();
  const running = run('hang', { signal: controller.signal });
  running.catch(() => {});
  await until(() => pids().length === 3);
  const reason = new LostError('another attempt has begun');
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  for (const pid of pids()) expect(processIdentity(pid)).toBeNull();
});

test('a runner that dies during a run is a lost try, and its processes are killed', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await expect(run('die')).rejects.toBeInstanceOf(LostError);
  expect(tagged()).toEqual([]);
  expect(await run('succeed')).toMatchObject({ processes: 1 });
});

const warnings = () => readFileSync(join(folder, 'log'), 'utf8').trim().split('\n');

test('a surplus runner whose end fails costs its run nothing, and is said', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 0, log: createLog(join(folder, 'log')) });
  expect(await run('block')).toMatchObject({ processes: 1 });
  await until(() => pool.count().busy === 0);
  expect(warnings()).toEqual([
    expect.stringMatching(/"event":"engine.end_failed","pid":\d+,"error":".*ENOTDIR/),
  ]);
  rmSync(join(folder, 'runs'));
  // The pool still works.
  expect(await run('succeed')).toMatchObject({ processes: 1 });
});

test('the service survives a runner that retires and cannot be ended', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 2, idleMs: 1, processors: 2, log: createLog(join(folder, 'log')) });
  const later = run('block later');
  await run('succeed');
  // Now the runner that waits is the only one; the next one is one too many.
  writeFileSync(join(folder, 'go'), '');
  await later;
  await until(() => pool.count().busy === 0 && pool.count().idle === 1);
  rmSync(join(folder, 'runs'));
  expect(warnings()).toEqual([expect.stringContaining('engine.end_failed')]);
});

test('the error of a run stays, even if its runner cannot be ended', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await expect(run('block fail')).rejects.toBeInstanceOf(PermanentError);
  rmSync(join(folder, 'runs'));
  expect(pool.count()).toEqual({ busy: 0, idle: 0 });
});

test('a cancellation before the CLI has started keeps it from starting', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 0 }, { providerHost: new URL('processes/slow-host.ts', import.meta.url).href });
  const controller = new AbortController();
  const running = run('hang', { signal: controller.signal });
  running.catch(() => {});
  await until(() => existsSync(join(folder, 'host-starting')));
  const reason = new CancelledError('Cancelled');
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  expect(pids()).toEqual([]);
  expect(existsSync(join(folder, 'host-stopped'))).toBe(true);
});

test('of the runners of a burst one stays, and it serves the next run', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 3, idleMs: 1_000, processors: 3 });
  await Promise.all([run('succeed'), run('succeed'), run('succeed')]);
  await until(() => pool.count().busy === 0 && pool.count().idle === 1);
  const [left, ...more] = runners();
  expect(more).toEqual([]);
  await run('succeed');
  expect(runners()).toEqual([left]);
});

test('on a busy machine a run takes the runner that another has finished with', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 1, processors: 1, patienceMs: 60_000 });
  await run('succeed');
  const first = runners();
  await Promise.all([run('succeed'), run('succeed'), run('succeed')]);
  await until(() => pool.count().busy === 0);
  expect(runners()).toEqual(first);
  expect(pool.count()).toEqual({ busy: 0, idle: 1 });
});

test('a run that waits for a runner is refused when the pool stops', async ({ skip }) => {
  skip(process.platform !== 'linux', 'processes can only be found on Linux');
  await pool.stop();
  pool = openPool({ idle: 1, processors: 1, patienceMs: 60_000 });
  await run('succeed');
  const running = run('hang');
  running.catch(() => {});
  await until(() => pids().length === 3);
  const waiting = run('succeed');
  waiting.catch(() => {});
  await pool.stop();
  await expect(waiting).rejects.toThrow(/stopping/);
  await expect(running).rejects.toBeInstanceOf(LostError);
});

test('nothing starts after an abort', async () => {
  const controller = new AbortController();
  controller.abort(new CancelledError('Cancelled'));
  await expect(run('hang', { signal: controller.signal })).rejects.toBeInstanceOf(CancelledError);
  expect(pids()).toEqual([]);
});

test('a stopped pool accepts nothing more', async () => {
  await pool.stop();
  await expect(run('succeed')).rejects.toThrow(/stopping/);
});

test('work folders of dead runners are removed, those of live ones are kept', async () => {
  const runs = join(folder, 'runs');
  await until(() => runners().length === 1);
  const [living] = runners();
  for (const name of ['dead', living!]) mkdirSync(join(runs, name), { recursive: true });
  await removeOrphanedWork(runs);
  expect(readdirSync(runs)).toEqual([living]);
});

test('only the first process asks the CLI for its version', async () => {
  await run('succeed');
  await expect(run('fail')).rejects.toBeInstanceOf(PermanentError);
  await Promise.all([run('succeed'), run('succeed')]);
  expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('version\n');
});
