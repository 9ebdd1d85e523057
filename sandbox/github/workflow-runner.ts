import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import type { SandboxDatabase } from '../database.ts';
import { type DueHandler, startDueLoop } from '../due.ts';
import { killTagged } from '../processes.ts';
import type { SandboxSettings } from '../settings.ts';
import { type ActCommand, prepareAct, RUN_TAG } from './act.ts';
import { handOver } from './hand-over.ts';
import type { GithubOptions } from './options.ts';
import { removePlainPath } from './plain-path.ts';
import { openRunLog, type RunLog } from './run-log.ts';
import { beginRun, cancelInterrupted, completeRun, findRun, RUN_KIND, type RunRow } from './runs.ts';
import type { Conclusion } from './schema.ts';

interface RunnerDeps {
  database: SandboxDatabase;
  options: GithubOptions;
  settings: Pick<SandboxSettings, 'githubRunSeconds' | 'githubRunsAtOnce'>;
  /** Cancels the runs in progress when the sandbox stops. */
  signal: AbortSignal;
}

/** How long a cancelled run has for its clean-up steps. */
const CANCEL_GRACE_MS = 10_000;
const POLL_MS = 300;
const OUTPUT_GRACE_MS = 2000;

/** Executes each run once: a run that was in progress when a sandbox was killed does not start again. */
export function createRunHandlers(deps: RunnerDeps): Record<string, DueHandler> {
  return {
    [RUN_KIND]: async ({ runId }: { runId: string }) => {
      const run = await beginRun(deps.database, runId);
      if (run === undefined) return;
      const conclusion = await executeRun(deps, run).catch((error: Error): Conclusion => {
        console.error(`sandbox github: run ${run.id}: ${error.message}`);
        return 'startup_failure';
      });
      await completeRun(deps.database, run.id, conclusion);
    },
  };
}

/**
 * Starts executing runs, `githubRunsAtOnce` at a time, after cancelling those that an earlier sandbox left.
 */
export async function startRunner(deps: RunnerDeps): Promise<{ stopped: Promise<void> }> {
  await settleInterruptedRuns(deps.database, deps.options);
  const { signal, settings } = deps;
  const loop = { signal, concurrency: settings.githubRunsAtOnce };
  const stopped = startDueLoop(deps.database, createRunHandlers(deps), loop);
  return { stopped: stopped.finally(() => removePlainPath(deps.options.dir)) };
}

/** Cancels the runs that an earlier sandbox left in progress, and kills their orphaned processes. */
export async function settleInterruptedRuns(
  database: SandboxDatabase,
  { dir, logDir }: GithubOptions,
): Promise<void> {
  const folders = toRunsFolder(dir);
  const pids = await killTagged(RUN_TAG, (folder) => folder.startsWith(join(folders, '/')));
  rmSync(folders, { recursive: true, force: true });
  for (const runId of await cancelInterrupted(database)) {
    const log = openRunLog(logDir, runId, []);
    log.write(`The sandbox stopped during this run; ${pids.length} orphan processes were killed`);
    log.close();
  }
}

const toRunsFolder = (dir: string) => join(dir, 'runs');

async function executeRun(deps: RunnerDeps, run: RunRow): Promise<Conclusion> {
  const { options } = deps;
  const folder = join(toRunsFolder(options.dir), run.id);
  const log = openRunLog(options.logDir, run.id, Object.values(options.secrets));
  const over = new AbortController();
  try {
    if (options.act === undefined) throw new Error('act, which executes workflows, is not set up');
    const { child, exitCode } = startAct(options.act, prepareAct(folder, run, options), log, over.signal);
    const ending = await waitForEnd(exitCode, deps, run.id);
    if (ending !== 'ended' && !deps.signal.aborted) {
      log.write(`The run is ${ending}: stopping its steps; its clean-up steps still run`);
      child.kill('SIGINT');
      await Promise.race([exitCode, pause(CANCEL_GRACE_MS, undefined, { ref: false })]);
    }
    const orphans = await killTagged(RUN_TAG, (tag) => tag === folder);
    log.write(`Cleaning up orphan processes: ${orphans.length === 0 ? 'none' : orphans.join(', ')}`);
    if (ending !== 'ended') return ending;
    return (await exitCode) === 0 ? 'success' : 'failure';
  } catch (error) {
    log.write(`The run could not be started: ${(error as Error).message}`);
    throw error;
  } finally {
    over.abort();
    log.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function startAct(
  act: string,
  { args, cwd, environment, secrets }: ActCommand,
  log: RunLog,
  signal: AbortSignal,
): { child: ChildProcess; exitCode: Promise<number | null> } {
  const child = spawn(act, args, {
    cwd,
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  handOver(secrets.pipe, secrets.content, signal).catch((error: Error) =>
    log.write(`The secrets could not be handed over: ${error.message}`),
  );
  return { child, exitCode: logOutput(child, log) };
}

/** Copies act's output to the log. @returns its exit code, once it has exited and closed its output. */
function logOutput(child: ChildProcess, log: RunLog): Promise<number | null> {
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', (line) => log.write(line));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
    // A process that outlives act may keep its output open.
    child.once('exit', (code) => setTimeout(resolve, OUTPUT_GRACE_MS, code).unref());
  });
}

/** Waits until a run ends, is cancelled or exceeds its time limit. */
async function waitForEnd(
  exitCode: Promise<number | null>,
  { database, settings, signal }: RunnerDeps,
  runId: string,
): Promise<'ended' | 'cancelled' | 'timed_out'> {
  const deadline = Date.now() + settings.githubRunSeconds * 1000;
  const ended = exitCode.then(() => 'ended' as const);
  for (;;) {
    const poll = pause(POLL_MS, 'poll' as const, { signal }).catch(() => 'poll' as const);
    if ((await Promise.race([ended, poll])) === 'ended') return 'ended';
    if (signal.aborted) return 'cancelled';
    if (Date.now() > deadline) return 'timed_out';
    // The database may be unavailable for a moment: the next poll asks again.
    const run = await findRun(database, runId).catch(() => undefined);
    if (run?.cancel_requested_at != null) return 'cancelled';
  }
}
