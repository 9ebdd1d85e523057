import { claimLife, strikeClaims } from './claim-matrix.ts';
import { dump } from './dump.ts';
import { heldLife, strikeHolds } from './hold-matrix.ts';
import { poolEnvironment } from './installation.ts';
import { keptLife, strikeKept } from './keep-matrix.ts';
import type { Target } from './kill.ts';
import { hasViolations, type Matrix, type MatrixOptions, type MatrixReport, summarize } from './matrix.ts';
import { createContext, type ScenarioContext } from './scenario-context.ts';
import { takeSnapshot } from './snapshot.ts';
import {
  checked,
  chooseMoment,
  type Measured,
  measurePhase,
  PHASE_NAMES,
  type PhaseName,
  strike,
  UNMEASURED,
} from './strikes.ts';

/** So that one is there already while the one that was claimed is replaced. */
const SLOTS = 2;

/**
 * kill -9 at moments spread evenly over every operation that is asked for; afterwards everything must be as
 * if nothing had happened.
 */
export async function runKillMatrix(options: MatrixOptions): Promise<MatrixReport> {
  const startedAt = Date.now();
  const report = newReport();
  // One installation for targets that take the host down, one for those that do not.
  for (const [role, targets] of [
    ['all', options.targets.filter((target) => target === 'everything')],
    ['api', options.targets.filter((target) => target !== 'everything')],
  ] as const) {
    if (targets.length === 0) continue;
    const workers = role === 'api' ? 1 : 0;
    const struck = { ...options, targets, workers, whenAtWork: false };
    await onInstallation({ ...options, role }, [struck], report);
  }
  report.seconds = Math.round((Date.now() - startedAt) / 1000);
  return report;
}

/**
 * kill -9 in the middle of each of these operations, wherever that is: nothing is measured before. One
 * installation is enough for it: a host without a worker, and a worker beside it.
 */
export async function strikeAtWork(
  cases: readonly Pick<MatrixOptions, 'targets' | 'moments'>[],
  { tools, say }: Pick<MatrixOptions, 'tools' | 'say'>,
): Promise<MatrixReport> {
  const report = newReport();
  const struck = cases.map((one) => ({ ...one, tools, say, workers: 1, whenAtWork: true }));
  await onInstallation({ tools, say, role: 'api' }, struck, report);
  return report;
}

const newReport = (): MatrixReport => ({
  seconds: 0,
  measured: {},
  summary: [],
  strikes: [],
  dumps: [],
});

/** Strikes on an installation of its own, of whose state something is kept if anything is wrong. */
async function onInstallation(
  { role, tools, say }: { role: 'all' | 'api' } & Pick<MatrixOptions, 'tools' | 'say'>,
  cases: readonly Matrix['options'][],
  report: MatrixReport,
): Promise<void> {
  const slots = cases.some(({ moments }) => claimLife(moments).length > 0) ? SLOTS : 0;
  const context = await createContext(tools, { environment: poolEnvironment(slots) });
  let isOver = false;
  try {
    await context.installation.startHost(role);
    if (role === 'api') await context.installation.startWorker();
    for (const one of cases) if (!hasViolations(report)) await strikeAll(context, one, report);
    isOver = true;
  } finally {
    if (!isOver || hasViolations(report)) {
      const snapshot = await takeSnapshot(context.installation, context.clouds).catch(() => null);
      report.dumps.push(await dump(context.installation, { report, snapshot }));
      say(`what was seen is in ${report.dumps.at(-1)}`);
    }
    await context.installation.stop();
    await context.installation.remove();
  }
  report.summary = summarize(report.strikes);
}

async function strikeAll(
  context: ScenarioContext,
  options: Matrix['options'],
  report: MatrixReport,
): Promise<void> {
  // A new installation's demo order creates the foundation and warms everything up.
  await checked(context, options);
  const measured = options.whenAtWork ? unmeasured() : await measure(context, options);
  const lengths = Object.entries(measured).map(([phase, { lengthMs }]) => [phase, lengthMs] as const);
  report.measured[options.targets.join(' ')] = Object.fromEntries(lengths);
  if (!options.whenAtWork)
    options.say(`without a fault: ${lengths.map(([phase, ms]) => `${phase} ${ms} ms`).join(', ')}`);
  for (const target of options.targets) {
    const matrix = { context, options, measured, report };
    if ((options.moments.provision ?? 0) + (options.moments.destroy ?? 0) > 0)
      await strikeOrders(matrix, target);
    if (!hasViolations(report)) await strikeHolds(matrix, target);
    if (!hasViolations(report)) await strikeKept(matrix, target);
    if (!hasViolations(report)) await strikeClaims(matrix, target);
    if (hasViolations(report)) return;
  }
}

const unmeasured = () => Object.fromEntries(PHASE_NAMES.map((phase) => [phase, UNMEASURED]));

/** The faster of two runs: on a busy machine the slower one would put the last moments after the end. */
async function measure(
  context: ScenarioContext,
  options: Matrix['options'],
): Promise<Partial<Record<PhaseName, Measured>>> {
  const claims = claimLife(options.moments);
  const isOnlyClaims = Object.entries(options.moments).every(
    ([phase, count]) => count === 0 || claims.some((claim) => claim === phase),
  );
  const { moments } = options;
  const own: PhaseName[] = ['provision', ...heldLife(moments), ...keptLife(moments), 'destroy'];
  const lives: PhaseName[][] = [
    ...(isOnlyClaims ? [] : [own]),
    ...claims.map((phase): PhaseName[] => [phase, 'destroy']),
  ];
  const quickest: Partial<Record<PhaseName, Measured>> = {};
  for (const run of [1, 2])
    for (const [index, life] of lives.entries())
      for (const phase of life) {
        const agentId = `measured-${index}-${run}`;
        const measured = await measurePhase(context, options, { phase, agentId });
        const best = quickest[phase];
        if (best === undefined || measured.lengthMs < best.lengthMs) quickest[phase] = measured;
      }
  return quickest;
}

/** Each provision that is killed is followed by a destroy, killed too if there are enough moments. */
async function strikeOrders({ context, options, measured, report }: Matrix, target: Target): Promise<void> {
  const { provision = 0, destroy = 0 } = options.moments;
  const orders = Math.max(provision, destroy);
  for (let index = 0; index < orders; index += 1) {
    const agentId = `${target}-${index}`;
    const moments = [
      ['provision', chooseMoment(measured.provision, target, index, provision)],
      ['destroy', chooseMoment(measured.destroy, target, ordinal(index, destroy, orders), destroy)],
    ] as const;
    if (moments.every(([, atMs]) => atMs === undefined)) continue;
    for (const [phase, atMs] of moments)
      if (atMs === undefined) await measurePhase(context, options, { phase, agentId });
      else report.strikes.push(await strike(context, options, { target, phase, agentId, atMs }));
    if (hasViolations(report)) return;
  }
}

/** Spreads `count` over `of`: which one falls on `index`; Infinity if none does. */
function ordinal(index: number, count: number, of: number): number {
  const before = Math.floor((index * count) / of);
  return Math.floor(((index + 1) * count) / of) > before ? before : Infinity;
}
