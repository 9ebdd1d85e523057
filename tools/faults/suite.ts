import { drawDecision, perform, type SuiteContext } from './actions.ts';
import { Clouds } from './clouds.ts';
import { dump } from './dump.ts';
import { Installation, poolEnvironment, SUITE_LEASE_SECONDS } from './installation.ts';
import { checkAlways, checkQuiet, type Expectations, type Violation } from './model.ts';
import { becomeQuiet } from './quiet.ts';
import { randomFrom } from './random.ts';
import { checkReleases, firstRelease } from './releases.ts';
import { ServiceClient } from './service-client.ts';
import { type Snapshot, takeSnapshot } from './snapshot.ts';

export interface SuiteOptions {
  rounds: number;
  seed: number;
  workers: number;
  /** How many servers wait for customers; 0: none. */
  pool: number;
  tools: Record<string, string>;
  say(line: string): void;
}

export interface SuiteReport {
  seed: number;
  rounds: number;
  seconds: number;
  /** How often each action was taken, and each kind of process hit. */
  counts: Record<string, number>;
  orders: number;
  events: number;
  checks: number;
  agents: Record<string, number>;
  operations: number;
  attempts: number;
  lost: number;
  retries: number;
  rollbacks: number;
  /** Orders that got a server that waited, and slots that were made in all. */
  hits: number;
  slots: number;
  releases: number;
  violations: Violation[];
  /** Where the evidence is saved, if something was wrong. */
  dump?: string;
}

const QUIET_TIMEOUT_SECONDS = 420;
const FINAL_TIMEOUT_SECONDS = 1_200;

/** Runs rounds of random actions on a real installation and checks its invariants. */
export async function runSuite(options: SuiteOptions): Promise<SuiteReport> {
  const startedAt = Date.now();
  const { seed } = options;
  const installation = await Installation.create({
    tools: options.tools,
    leaseSeconds: SUITE_LEASE_SECONDS,
    workerConcurrency: 2,
    environment: poolEnvironment(options.pool),
  });
  const context = newContext(installation, options);
  const progress: Progress = { checks: 0, violations: [], rounds: 0 };
  let problem: unknown;
  try {
    await installation.startHost('api');
    if (options.pool > 0) context.releases.push(firstRelease(installation));
    for (let count = 0; count < options.workers; count += 1) await installation.startWorker();
    await runRounds(context, options, progress);
    if (progress.violations.length === 0) {
      await checkAtQuiet(context, options, progress, {
        timeoutSeconds: FINAL_TIMEOUT_SECONDS,
        restingSeconds: 1e6,
      });
    }
  } catch (error) {
    problem = error;
    progress.violations.push({
      invariant: 'the suite can continue',
      detail: error instanceof Error ? error.message : String(error),
    });
  }
  const snapshot = await takeSnapshot(installation, context.clouds).catch(() => undefined);
  const report = summarize({ seed, context, progress, snapshot, startedAt });
  if (progress.violations.length > 0)
    report.dump = await dump(installation, { snapshot, report, problem: String(problem ?? '') });
  await installation.stop();
  await installation.remove();
  return report;
}

function newContext(installation: Installation, { pool, say }: SuiteOptions): SuiteContext {
  return {
    installation,
    client: new ServiceClient(installation),
    clouds: new Clouds(installation),
    leaseSeconds: SUITE_LEASE_SECONDS,
    orders: [],
    gone: new Set(),
    serverDeleted: new Set(),
    later: new Set(),
    pool,
    releases: [],
    counts: {},
    say,
  };
}

interface Progress {
  checks: number;
  violations: Violation[];
  rounds: number;
}

async function runRounds(context: SuiteContext, options: SuiteOptions, progress: Progress): Promise<void> {
  for (let round = 1; round <= options.rounds && progress.violations.length === 0; round += 1) {
    // Every round has its own generator, so that it can be examined alone.
    const random = randomFrom(options.seed * 100_003 + round);
    const count = 1 + Math.floor(random() * 3);
    for (const decision of Array.from({ length: count }, () => drawDecision(random, options.pool > 0))) {
      const done = await perform(context, decision).catch(
        (error: unknown) => `${decision.action} failed: ${error}`,
      );
      context.say(`${round}/${options.rounds} ${done}`);
    }
    progress.rounds = round;
    if (random() < 0.28 || round === options.rounds) {
      await checkAtQuiet(context, options, progress, { timeoutSeconds: QUIET_TIMEOUT_SECONDS });
    } else await checkAtAnyMoment(context, progress);
  }
}

/** While the sandbox or the database is away, there is nothing to check. */
async function checkAtAnyMoment(context: SuiteContext, progress: Progress): Promise<void> {
  const snapshot = await takeSnapshot(context.installation, context.clouds).catch(() => undefined);
  if (snapshot === undefined) return;
  progress.checks += 1;
  progress.violations.push(...checkAlways(snapshot), ...checkReleases(snapshot, context.releases));
}

async function checkAtQuiet(
  context: SuiteContext,
  { workers, say }: SuiteOptions,
  progress: Progress,
  limits: { timeoutSeconds: number; restingSeconds?: number },
): Promise<void> {
  const since = Date.now();
  await Promise.all(context.later);
  await becomeQuiet(context, { workers, slotsAnswer: context.pool > 0, ...limits });
  const snapshot = await takeSnapshot(context.installation, context.clouds);
  progress.checks += 1;
  progress.violations.push(
    ...checkQuiet(snapshot, expectations(context)),
    ...checkReleases(snapshot, context.releases),
  );
  say(
    `  quiet after ${((Date.now() - since) / 1000).toFixed(0)} s: ${JSON.stringify(countBy(snapshot.agents.map(({ status }) => status)))}`,
  );
}

function expectations({ client, orders, serverDeleted }: SuiteContext): Expectations {
  return {
    answeredEvents: client.answeredEvents,
    paid: new Map(orders.map((order) => [order.sessionId, order.agentId])),
    serverDeleted,
  };
}

function summarize({
  seed,
  context,
  progress,
  snapshot,
  startedAt,
}: {
  seed: number;
  context: SuiteContext;
  progress: Progress;
  snapshot: Snapshot | undefined;
  startedAt: number;
}): SuiteReport {
  const operations = snapshot?.operations ?? [];
  const sum = (column: 'attempt' | 'lost_count' | 'retry_count') =>
    operations.reduce((total, operation) => total + operation[column], 0);
  return {
    seed,
    rounds: progress.rounds,
    seconds: Math.round((Date.now() - startedAt) / 1000),
    counts: context.counts,
    orders: context.orders.length,
    events: context.client.answeredEvents.size,
    checks: progress.checks,
    agents: countBy(snapshot?.agents.map(({ status }) => status) ?? []),
    operations: operations.length,
    attempts: sum('attempt'),
    lost: sum('lost_count'),
    retries: sum('retry_count'),
    rollbacks: operations.filter(({ kind }) => kind === 'rollback').length,
    hits: snapshot?.slots.filter(({ isServed }) => isServed).length ?? 0,
    slots: snapshot?.slots.length ?? 0,
    releases: context.releases.length,
    violations: progress.violations,
  };
}

function countBy(values: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
