import { type ChildProcess, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { poolBehind, type SandboxDatabase } from '../database.ts';
import { type DueHandler, startDueLoop } from '../due.ts';
import { endMarked } from '../marked-processes.ts';
import type { SandboxSettings } from '../settings.ts';
import { prepareAct, RUN_MARK } from './act.ts';
import { handOver } from './hand-over.ts';
import type { GithubOptions } from './options.ts';
import { removePlainPath } from './plain-path.ts';
import { openRunLog, type RunLog } from './run-log.ts';
import {
  beginRun,
  type Conclusion,
  cancelInterrupted,
  completeRun,
  findRun,
  type RunRow,
  runKind,
} from './runs.ts';

type RunnerDeps = {
  database: SandboxDatabase;
  options: GithubOptions;
  settings: Pick<SandboxSettings, 'githubRunSeconds' | 'githubRunsAtOnce'>;
  /** Ends what runs when the sandbox ends. */
  signal: AbortSignal;
};

/** How long a cancelled run has for its clean-up steps. */
const CANCEL_GRACE_MS = 10_000;
const LOOK_MS = 300;
const OUTPUT_GRACE_MS = 2000;

/** Carries runs out, each once: what a sandbox that was killed had in progress is not begun again. */
export function createRunHandlers(deps: RunnerDeps): Record<string, DueHandler> {
  return {
    [runKind]: async ({ runId }: { runId: string }) => {
      const run = await beginRun(poolBehind(deps.database), runId);
      if (run === undefined) return;
      const conclusion = await carryOut(deps, run).catch((error: Error): Conclusion => {
        console.error(`sandbox github: run ${run.id}: ${error.message}`);
        return 'startup_failure';
      });
      await completeRun(poolBehind(deps.database), run.id, conclusion);
    },
  };
}

/** Starts to carry runs out, `githubRunsAtOnce` of them; what an earlier sandbox left in progress is over then. */
export async function startRunner(deps: RunnerDeps): Promise<{ stopped: Promise<void> }> {
  await settleInterruptedRuns(deps.database, deps.options);
  const { signal, settings } = deps;
  const loop = { signal, concurrency: settings.githubRunsAtOnce };
  const stopped = startDueLoop(deps.database, createRunHandlers(deps), loop);
  return { stopped: stopped.finally(() => removePlainPath(deps.options.dir)) };
}

/** At a start: ends what runs of an earlier sandbox have left running, and what those runs were. */
export async function settleInterruptedRuns(
  database: SandboxDatabase,
  { dir, logDir }: GithubOptions,
): Promise<void> {
  const folders = runsFolder(dir);
  const pids = await endMarked(RUN_MARK, (folder) => folder.startsWith(join(folders, '/')));
  rmSync(folders, { recursive: true, force: true });
  for (const runId of await cancelInterrupted(poolBehind(database))) {
    const log = openRunLog(logDir, runId, []);
    log.write(
      `The sandbox ended while this run was in progress; ${pids.length} processes were left and are ended`,
    );
    log.close();
  }
}

const runsFolder = (dir: string) => join(dir, 'runs');

async function carryOut(
  { database, options, settings, signal }: RunnerDeps,
  run: RunRow,
): Promise<Conclusion> {
  const folder = join(runsFolder(options.dir), run.id);
  const log = openRunLog(options.logDir, run.id, Object.values(options.secrets));
  const over = new AbortController();
  try {
    if (options.act === undefined) throw new Error('act, which carries workflows out, is not set up');
    const { args, cwd, environment, secrets } = prepareAct(folder, run, options);
    const child = spawn(options.act, args, {
      cwd,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const handedOver = handOver(secrets.pipe, secrets.content, over.signal);
    handedOver.catch((error: Error) => log.write(`The secrets could not be handed over: ${error.message}`));
    const code = watch(child, log);
    const ending = await untilEnd(code, {
      limitMs: settings.githubRunSeconds * 1000,
      isCancelled: async () => (await findRun(poolBehind(database), run.id))?.cancel_requested_at != null,
      signal,
    });
    if (ending !== 'ended' && !signal.aborted) {
      log.write(`The run is ${ending}: its steps are ended, those for cleaning up still run`);
      child.kill('SIGINT');
      await Promise.race([code, pause(CANCEL_GRACE_MS, undefined, { ref: false })]);
    }
    const left = await endMarked(RUN_MARK, (mark) => mark === folder);
    log.write(`Cleaning up orphan processes: ${left.length === 0 ? 'none' : left.join(', ')}`);
    if (ending !== 'ended') return ending;
    return (await code) === 0 ? 'success' : 'failure';
  } catch (error) {
    log.write(`The run could not be started: ${(error as Error).message}`);
    throw error;
  } finally {
    over.abort();
    log.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Takes what act says into the log. @returns its exit code, once it has ended and said all. */
function watch(child: ChildProcess, log: RunLog): Promise<number | null> {
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', (line) => log.write(line));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
    // A process that outlives act may hold its output open.
    child.once('exit', (code) => setTimeout(resolve, OUTPUT_GRACE_MS, code).unref());
  });
}

type End = { limitMs: number; isCancelled: () => Promise<boolean>; signal: AbortSignal };

/** Waits for the end of a run, or for a reason to end it. */
async function untilEnd(
  code: Promise<number | null>,
  { limitMs, isCancelled, signal }: End,
): Promise<'ended' | 'cancelled' | 'timed_out'> {
  const deadline = Date.now() + limitMs;
  const ended = code.then(() => 'ended' as const);
  for (;;) {
    const look = pause(LOOK_MS, 'look' as const, { signal }).catch(() => 'look' as const);
    if ((await Promise.race([ended, look])) === 'ended') return 'ended';
    if (signal.aborted) return 'cancelled';
    if (Date.now() > deadline) return 'timed_out';
    // The database may be away for a moment: asked again then.
    if (await isCancelled().catch(() => false)) return 'cancelled';
  }
}
