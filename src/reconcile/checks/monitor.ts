import type { Database } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import type { Readiness } from '../../executors/worker/readiness.ts';
import { registerWorker } from '../../executors/worker/workers.ts';
import type { Log } from '../../log.ts';
import type { OperationKind } from '../../operations/states.ts';
import { type Check, type Probe, runProbe } from './probe.ts';
import { type InstallationCheck, recordChecks } from './store.ts';

export interface CheckMonitor extends Readiness {
  /** The checks that fail now; `blocks`: whether orders wait for one. */
  problems(): InstallationCheck[];
  stop(): Promise<void>;
}

export interface MonitorSettings {
  /** Pause between two rounds while all checks pass (`well`), and while one fails (`unwell`). */
  wellSeconds: number;
  unwellSeconds: number;
  /** How long the first round retries checks that may settle: joining the tailnet takes a moment. */
  patienceSeconds: number;
}

const SETTINGS: MonitorSettings = { wellSeconds: 60, unwellSeconds: 5, patienceSeconds: 8 };

export interface MonitorDeps {
  database: Database;
  workerId: string;
  concurrency: number;
  probes: readonly Probe[];
  log: Log;
}

/**
 * Repeatedly runs the probes for what operations need. Records the results for the whole installation and
 * keeps them for its own worker. Returns after the first round, which also registers the worker: a worker
 * that was registered earlier would seem healthy without having been checked.
 */
export async function startChecks(
  deps: MonitorDeps,
  settings: MonitorSettings = SETTINGS,
): Promise<CheckMonitor> {
  const { probes } = deps;
  let checks: Check[] = [];
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  const blocks = (at: number) => !checks[at]!.ok && blocksAll(probes[at]!, 'provision');
  const isWell = () => checks.every(({ ok }) => ok);

  const look = async (patience?: { until: number }): Promise<void> => {
    let found = await Promise.all(probes.map(runProbe));
    // A check that passed until now is repeated before operations wait: any network may lose one answer.
    found = await Promise.all(
      probes.map((probe, at) => (!found[at]!.ok && checks[at]?.ok === true ? runProbe(probe) : found[at]!)),
    );
    const isUnsettled = ({ ok }: Check, at: number) => !ok && probes[at]!.settles === true;
    while (patience !== undefined && found.some(isUnsettled) && Date.now() < patience.until) {
      await new Promise((resolve) => setTimeout(resolve, 250));
      found = await Promise.all(probes.map((probe, at) => (found[at]!.ok ? found[at]! : runProbe(probe))));
    }
    tellChanges(deps.log, checks, found);
    checks = found;
    if (patience !== undefined) await registerWorker(deps.database, deps);
    await record(deps, checks);
  };
  const lookOnce = (patience?: { until: number }): Promise<void> => {
    looking ??= look(patience).finally(() => {
      looking = undefined;
      clearTimeout(timer);
      if (stopped) return;
      timer = setTimeout(
        () => void lookOnce(),
        (isWell() ? settings.wellSeconds : settings.unwellSeconds) * 1000,
      );
    });
    return looking;
  };
  await lookOnce({ until: Date.now() + settings.patienceSeconds * 1000 });
  return {
    problems: () => checks.map((check, at) => ({ ...check, blocks: blocks(at) })).filter(({ ok }) => !ok),
    waitReason: (kind) => {
      const wrong = checks.filter(({ ok }, at) => !ok && blocksAll(probes[at]!, kind));
      return wrong.length === 0 ? undefined : waitText(wrong);
    },
    projectReasons: () => {
      const wrong = checks.flatMap((check, at) => {
        const { project } = probes[at]!;
        return check.ok || project === undefined ? [] : [{ project, check }];
      });
      return new Map(wrong.map(({ project, check }) => [project, waitText([check])]));
    },
    recheck: async () => {
      // A round in progress may have probed before the failure that needs an explanation.
      await looking;
      await lookOnce();
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await looking;
    },
  };
}

/** Whether operations wait for it wherever their agents are. */
const blocksAll = (probe: Probe, kind: OperationKind) => probe.project === undefined && probe.blocks(kind);

function waitText(wrong: readonly Check[]): string {
  const said = wrong.map(({ name, detail, cure }) => `${name}: ${detail}. ${cure}`).join('\n');
  return `Waits until the configuration is fixed, and continues by itself then.\n${said}`.slice(0, 4_000);
}

async function record(
  { database, workerId, probes, log }: MonitorDeps,
  checks: readonly Check[],
): Promise<void> {
  try {
    await recordChecks(
      database,
      workerId,
      checks.map((check, at) => ({ ...check, blocks: blocksAll(probes[at]!, 'provision') })),
    );
  } catch (error) {
    log.warn({ event: 'checks.record_failed', error: errorMessage(error) }, 'could not record the checks');
  }
}

function tellChanges(log: Log, before: readonly Check[], now: readonly Check[]): void {
  for (const check of now) {
    const last = before.find(({ name }) => name === check.name);
    const { name: check_, detail, cure } = check;
    if (!check.ok && last?.detail !== detail)
      log.warn({ event: 'check.failed', check: check_, detail, cure }, `${check_}: ${detail}`);
    if (check.ok && last?.ok === false)
      log.info({ event: 'check.recovered', check: check_ }, `${check_} works again`);
  }
}

/** Explains the problems in one message at the start; undefined if there are none. */
export function explainProblems(problems: readonly InstallationCheck[]): string | undefined {
  if (problems.length === 0) return undefined;
  const [waited, others] = [
    problems.filter(({ blocks }) => blocks),
    problems.filter(({ blocks }) => !blocks),
  ];
  return [
    ...list('This installation cannot work yet. Orders are accepted and wait until this is fixed:', waited),
    ...list('Warning: these checks fail. Orders are processed nevertheless:', others),
  ].join('\n');
}

function list(heading: string, problems: readonly Check[]): string[] {
  if (problems.length === 0) return [];
  return [heading, ...problems.map(({ name, detail, cure }) => `  - ${name}: ${detail}\n      ${cure}`)];
}
