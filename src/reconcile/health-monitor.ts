import {
  type ClaimedCheck,
  claimHealthChecks,
  type HealthCheckTimes,
  recordAnswer,
  recordSilence,
} from '../agents/health-checks.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage, RetryableError } from '../errors.ts';
import { withDeadline } from '../http-client/deadline.ts';
import type { Log } from '../log.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import type { HealthCheck } from '../tailnet/agent-health.ts';

export interface MonitorDeps {
  database: Database;
  health: Pick<HealthCheck, 'isHealthy'>;
  /** Whether this process can reach agents at all. While it cannot, an agent's silence means nothing. */
  canReachAgents(): Promise<boolean>;
  log: Log;
}

export interface MonitorSettings extends HealthCheckTimes {
  /** How often this process polls for due checks. */
  lookSeconds: number;
  /** How many agents are checked concurrently. */
  concurrency: number;
  /** Time limit of one request to an agent; after it the agent counts as silent. */
  answerSeconds: number;
  /** Time limit of one round; after it the next one begins. */
  longestLookSeconds: number;
  /** How long a round may take to end after it was aborted. */
  stopSeconds: number;
}

const SETTINGS: MonitorSettings = {
  intervalSeconds: 30,
  recheckSeconds: 5,
  unhealthyAfterSeconds: 10,
  lookSeconds: 2,
  concurrency: 8,
  answerSeconds: 15,
  longestLookSeconds: 300,
  stopSeconds: 5,
};

/**
 * Periodically checks the health of every running agent; the workers of an installation share the agents. A
 * request or a round that hangs is abandoned, so it delays neither the next one nor the stop.
 */
export function startHealthMonitor(
  deps: MonitorDeps,
  settings: MonitorSettings = SETTINGS,
  isDue?: IsDue,
): Repeating {
  const stopping = new AbortController();
  const repeating = repeatEvery(settings.lookSeconds, () => look(deps, settings, stopping.signal), isDue);
  return {
    stop: async () => {
      stopping.abort();
      await repeating.stop();
    },
  };
}

async function look(deps: MonitorDeps, settings: MonitorSettings, signal: AbortSignal): Promise<void> {
  const { longestLookSeconds: seconds, stopSeconds } = settings;
  try {
    await withDeadline({ seconds, signal, graceSeconds: stopSeconds }, (own) =>
      checkDue(deps, settings, own),
    );
  } catch (error) {
    if (signal.aborted) return;
    deps.log.warn(
      { event: 'health.check_failed', error: errorMessage(error) },
      'could not check the agents’ health',
    );
  }
}

/**
 * Checks every agent whose check is due, a few concurrently.
 * @returns how many were checked.
 */
export async function checkDue(
  deps: MonitorDeps,
  settings: MonitorSettings,
  signal: AbortSignal,
): Promise<number> {
  if (!(await canReachAgents(deps, settings, signal))) return 0;
  const next = createSupply(
    (limit) => claimHealthChecks(deps.database, settings, limit),
    settings.concurrency,
  );
  const lane = async (): Promise<number> => {
    for (let asked = 0; ; asked++) {
      const claimed = signal.aborted ? undefined : await next();
      if (claimed === undefined) return asked;
      await check(deps, settings, claimed, signal);
    }
  };
  const lanes = await Promise.all(Array.from({ length: settings.concurrency }, lane));
  return lanes.reduce((sum, asked) => sum + asked, 0);
}

/** Hands out claims one at a time, claiming several with one statement; undefined once none is due. */
function createSupply(
  claim: (limit: number) => Promise<ClaimedCheck[]>,
  size: number,
): () => Promise<ClaimedCheck | undefined> {
  const supply: ClaimedCheck[] = [];
  let ended = false;
  let filling: Promise<void> | undefined;
  const fill = async () => {
    const claimed = await claim(size);
    supply.push(...claimed);
    ended = claimed.length < size;
    filling = undefined;
  };
  return async () => {
    while (supply.length === 0 && !ended) {
      filling ??= fill();
      await filling;
    }
    return supply.shift();
  };
}

async function check(
  deps: MonitorDeps,
  settings: MonitorSettings,
  claimed: ClaimedCheck,
  signal: AbortSignal,
): Promise<void> {
  const { database, log } = deps;
  const { agentId } = claimed;
  const startedAt = Date.now();
  const healthy = await answers(settings, signal, (own) => deps.health.isHealthy(claimed.tailnetIp, own));
  if (healthy) {
    await recordAnswer(database, claimed);
    if (claimed.health === 'unhealthy') log.info({ event: 'agent.healthy', agentId }, 'healthy again');
    return;
  }
  // This side may have lost the tailnet meanwhile.
  if (!(await canReachAgents(deps, settings, signal))) return;
  const elapsedSeconds = (Date.now() - startedAt) / 1000;
  if (await recordSilence(database, claimed, elapsedSeconds, settings))
    log.warn({ event: 'agent.unhealthy', agentId }, 'its health address does not answer');
}

const canReachAgents = (deps: MonitorDeps, settings: MonitorSettings, signal: AbortSignal) =>
  answers(settings, signal, () => deps.canReachAgents());

/** Returns the result, or `false` if it does not arrive in time. @throws the signal's reason */
async function answers(
  { answerSeconds }: MonitorSettings,
  signal: AbortSignal,
  ask: (signal: AbortSignal) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await withDeadline({ seconds: answerSeconds, signal }, ask);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RetryableError) return false;
    throw error;
  }
}
