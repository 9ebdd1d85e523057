import { setTimeout as sleep } from 'node:timers/promises';
import { signal } from '../../src/processes/find.ts';
import { dump } from './dump.ts';
import type { Violation } from './model.ts';
import { CHILD_KINDS, type ChildKind } from './processes.ts';
import {
  checkWhenQuiet,
  createContext,
  destroyAgent,
  orderAgent,
  readAgent,
  readOperations,
  type ScenarioContext,
} from './scenario-context.ts';
import { takeSnapshot } from './snapshot.ts';

export const TARGETS = ['everything', 'worker', 'runner', 'cli', 'configure', 'ansible'] as const;
export type Target = (typeof TARGETS)[number];

export interface MatrixOptions {
  targets: readonly Target[];
  /** Moments spread evenly over a provision and over a destroy. */
  provisions: number;
  destroys: number;
  tools: Record<string, string>;
  say(line: string): void;
}

export interface Strike {
  target: Target;
  phase: 'provision' | 'destroy';
  /** Milliseconds after the request. */
  atMs: number;
  /** Whether such a process existed before the operation ended. */
  hit: boolean;
  /** From the kill until all is quiet, including the restart. */
  recoverySeconds: number;
  attempts: number;
  violations: Violation[];
}

export interface MatrixReport {
  seconds: number;
  /** Durations without a fault on this machine. */
  measured: Record<string, { provisionMs: number; destroyMs: number }>;
  /**
   * Per target and phase: how many moments, how many hit the middle of an attempt, and how long until all was
   * quiet.
   */
  summary: {
    what: string;
    moments: number;
    inTheMiddle: number;
    medianSeconds: number;
    longestSeconds: number;
  }[];
  strikes: Strike[];
  dumps: string[];
}

const LIMIT_SECONDS = 240;

/**
 * kill -9 at moments spread evenly over a provision and a destroy; afterwards everything must be as if
 * nothing had happened.
 */
export async function runKillMatrix(options: MatrixOptions): Promise<MatrixReport> {
  const startedAt = Date.now();
  const report: MatrixReport = { seconds: 0, measured: {}, summary: [], strikes: [], dumps: [] };
  // One installation for targets that take the host down, one for those that do not.
  for (const [role, targets] of [
    ['all', options.targets.filter((target) => target === 'everything')],
    ['api', options.targets.filter((target) => target !== 'everything')],
  ] as const) {
    if (targets.length === 0) continue;
    const context = await createContext(options.tools);
    try {
      await context.installation.startHost(role);
      if (role === 'api') await context.installation.startWorker();
      await strikeAll(context, { ...options, targets, workers: role === 'api' ? 1 : 0 }, report);
    } finally {
      if (report.strikes.some(({ violations }) => violations.length > 0))
        report.dumps.push(
          await dump(context.installation, {
            report,
            snapshot: await takeSnapshot(context.installation, context.clouds).catch(() => null),
          }),
        );
      await context.installation.stop();
      await context.installation.remove();
    }
  }
  report.seconds = Math.round((Date.now() - startedAt) / 1000);
  report.summary = summarize(report.strikes);
  return report;
}

function summarize(strikes: Strike[]): MatrixReport['summary'] {
  const groups = Map.groupBy(strikes, ({ target, phase }) => `${target}, ${phase}`);
  return [...groups].map(([what, of]) => {
    const seconds = of.map(({ recoverySeconds }) => recoverySeconds).sort((one, other) => one - other);
    return {
      what,
      moments: of.length,
      inTheMiddle: of.filter(({ attempts, hit }) => hit && attempts > 1).length,
      medianSeconds: seconds[Math.floor(seconds.length / 2)] ?? 0,
      longestSeconds: seconds.at(-1) ?? 0,
    };
  });
}

type StrikeOptions = MatrixOptions & { workers: number };

async function strikeAll(
  context: ScenarioContext,
  options: StrikeOptions,
  report: MatrixReport,
): Promise<void> {
  const measured = await measure(context, options);
  report.measured[options.targets.join(' ')] = {
    provisionMs: measured.provision.lengthMs,
    destroyMs: measured.destroy.lengthMs,
  };
  options.say(
    `a provision takes ${measured.provision.lengthMs} ms, a destroy ${measured.destroy.lengthMs} ms`,
  );
  for (const target of options.targets) {
    for (let index = 0; index < options.provisions; index += 1) {
      const agentId = `${target}-${index}`;
      const provisionAt = chooseMoment(measured.provision, target, index, options.provisions);
      if (provisionAt === undefined) continue;
      report.strikes.push(
        await strike(context, options, { target, phase: 'provision', agentId, atMs: provisionAt }),
      );
      const ordinal = destroyOrdinal(index, options);
      const destroyAt =
        ordinal === undefined ? undefined : chooseMoment(measured.destroy, target, ordinal, options.destroys);
      if (destroyAt === undefined) await undisturbedDestroy(context, options, agentId);
      else
        report.strikes.push(
          await strike(context, options, { target, phase: 'destroy', agentId, atMs: destroyAt }),
        );
      if (report.strikes.some(({ violations }) => violations.length > 0)) return;
    }
  }
}

/** Spreads the destroys over the provisions: returns which destroy follows provision `index`, if any. */
function destroyOrdinal(index: number, { provisions, destroys }: MatrixOptions): number | undefined {
  const before = Math.floor((index * destroys) / provisions);
  return Math.floor(((index + 1) * destroys) / provisions) > before ? before : undefined;
}

/** An operation without a fault: its duration, and when each kind of process was first and last seen. */
interface Measured {
  lengthMs: number;
  seen: Partial<Record<ChildKind, { firstMs: number; lastMs: number }>>;
}

/** The faster of two runs: on a busy machine the slower one would put the last moments after the end. */
async function measure(
  context: ScenarioContext,
  options: StrikeOptions,
): Promise<{ provision: Measured; destroy: Measured }> {
  // A new installation's demo order creates the foundation and warms everything up.
  await checked(context, options);
  const runs: { provision: Measured; destroy: Measured }[] = [];
  for (const agentId of ['measured-1', 'measured-2']) {
    await orderAgent(context, agentId);
    const provision = await watch(context, agentId, 'running');
    await checked(context, options);
    await destroyAgent(context, agentId);
    runs.push({ provision, destroy: await watch(context, agentId, 'destroyed') });
    await checked(context, options);
  }
  const quicker = (phase: Strike['phase']) =>
    runs.map((run) => run[phase]).reduce((one, other) => (one.lengthMs < other.lengthMs ? one : other));
  return { provision: quicker('provision'), destroy: quicker('destroy') };
}

async function watch(context: ScenarioContext, agentId: string, status: string): Promise<Measured> {
  const startedAt = performance.now();
  const seen: Measured['seen'] = {};
  for (let lookedAt = 0; ; ) {
    const now = performance.now() - startedAt;
    for (const { kind } of context.installation.children())
      seen[kind] = { firstMs: seen[kind]?.firstMs ?? now, lastMs: now };
    if (now - lookedAt > 150) {
      lookedAt = now;
      const agent = await readAgent(context, agentId);
      if (agent.status === status) return { lengthMs: Math.round(now), seen };
      if (now > LIMIT_SECONDS * 1000)
        throw new Error(`${agentId} is ${agent.status}, not ${status}: ${agent.error}`);
    }
    await sleep(15);
  }
}

/**
 * Moment `index` of `count`, evenly over the time in which there is something to kill; undefined if there
 * never is.
 */
function chooseMoment(measured: Measured, target: Target, index: number, count: number): number | undefined {
  const isChild = (CHILD_KINDS as readonly string[]).includes(target);
  const seen =
    isChild && target !== 'runner'
      ? measured.seen[target as ChildKind]
      : { firstMs: 0, lastMs: measured.lengthMs };
  if (seen === undefined) return undefined;
  return Math.round(seen.firstMs + ((index + 0.5) / count) * (seen.lastMs - seen.firstMs));
}

interface Aim {
  target: Target;
  phase: Strike['phase'];
  agentId: string;
  atMs: number;
}

async function strike(
  context: ScenarioContext,
  options: StrikeOptions,
  { target, phase, agentId, atMs }: Aim,
): Promise<Strike> {
  if (phase === 'provision') await orderAgent(context, agentId);
  else await destroyAgent(context, agentId);
  await sleep(atMs);
  const hit = await kill(context, target);
  const killedAt = performance.now();
  if (target === 'everything') await context.installation.startHost('all');
  if (target === 'worker') await context.installation.startWorker();
  const violations = await checked(context, options);
  const agent = await readAgent(context, agentId);
  const wanted = phase === 'provision' ? 'running' : 'destroyed';
  if (agent.status !== wanted)
    violations.push({
      invariant: `the ${phase} comes to its end`,
      detail: `${agentId} is ${agent.status}: ${agent.error}`,
    });
  const operation = (await readOperations(context, agentId)).findLast(({ kind }) => kind === phase);
  const recoverySeconds = Math.round((performance.now() - killedAt) / 100) / 10;
  options.say(
    `${target} ${phase} at ${atMs} ms${hit ? '' : ' (not there any more)'}: attempt ${operation?.attempt}, quiet after ${recoverySeconds} s${violations.map(({ invariant, detail }) => `; VIOLATED ${invariant}: ${detail}`).join('')}`,
  );
  return { target, phase, atMs, hit, recoverySeconds, attempts: operation?.attempt ?? 0, violations };
}

/** Kills a child as soon as there is one; of short-lived kinds there may be none at the moment. */
async function kill(context: ScenarioContext, target: Target): Promise<boolean> {
  if (target === 'everything') {
    await context.installation.killEverything();
    return true;
  }
  if (target === 'worker') {
    await context.installation.workers[0]!.kill();
    return true;
  }
  for (const deadline = Date.now() + 3_000; Date.now() < deadline; await sleep(10)) {
    const [child] = context.installation.children({ kind: target });
    if (child === undefined) continue;
    signal(child.pid, 'SIGKILL');
    return true;
  }
  return false;
}

function checked(context: ScenarioContext, { workers }: StrikeOptions): Promise<Violation[]> {
  return checkWhenQuiet(context, { workers, timeoutSeconds: LIMIT_SECONDS });
}

async function undisturbedDestroy(
  context: ScenarioContext,
  options: StrikeOptions,
  agentId: string,
): Promise<void> {
  await destroyAgent(context, agentId);
  await checked(context, options);
}
