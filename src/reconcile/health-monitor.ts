import {
  type ClaimedCheck,
  claimHealthChecks,
  type HealthCheckTimes,
  recordAnswer,
  recordSilence,
} from '../agents/health-checks.ts';
import type { HealthCheck } from '../clients/health.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';

export interface MonitorDeps {
  database: Database;
  health: Pick<HealthCheck, 'isHealthy'>;
  /** Whether this process could reach an agent at all; while it could not, silence says nothing. */
  canReachAgents(): Promise<boolean>;
  log: Log;
}

export interface MonitorSettings extends HealthCheckTimes {
  /** How often this process looks whether a check is due. */
  lookSeconds: number;
  /** Agents asked at once. */
  concurrency: number;
}

const SETTINGS: MonitorSettings = {
  intervalSeconds: 30,
  recheckSeconds: 5,
  unhealthyAfterSeconds: 10,
  lookSeconds: 2,
  concurrency: 8,
};

/** Asks every running agent now and then whether it is healthy, for as long as it runs; the workers of an installation share the agents. */
export function startHealthMonitor(
  deps: MonitorDeps,
  settings: MonitorSettings = SETTINGS,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look(deps, settings, stopping.signal).finally(() => {
      looking = undefined;
    });
  }, settings.lookSeconds * 1000);
  return {
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await looking;
    },
  };
}

async function look(deps: MonitorDeps, settings: MonitorSettings, signal: AbortSignal): Promise<void> {
  try {
    await checkDue(deps, settings, signal);
  } catch (error) {
    if (signal.aborted) return;
    deps.log.warn(
      { event: 'health.look', error: errorMessage(error) },
      'could not look after the agents’ health',
    );
  }
}

/**
 * Asks every agent whose check is due, a few at once.
 * @returns how many were asked.
 */
export async function checkDue(
  deps: MonitorDeps,
  settings: MonitorSettings,
  signal: AbortSignal,
): Promise<number> {
  if (!(await deps.canReachAgents())) return 0;
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
  { database, health, canReachAgents, log }: MonitorDeps,
  settings: MonitorSettings,
  claimed: ClaimedCheck,
  signal: AbortSignal,
): Promise<void> {
  const { agentId } = claimed;
  const startedAt = Date.now();
  const healthy = await health.isHealthy(claimed.tailnetIp, signal);
  if (healthy) {
    await recordAnswer(database, claimed);
    if (claimed.health === 'unhealthy') log.info({ event: 'agent.healthy', agentId }, 'healthy again');
    return;
  }
  // It may be this side that went away meanwhile.
  if (!(await canReachAgents())) return;
  const elapsedSeconds = (Date.now() - startedAt) / 1000;
  if (await recordSilence(database, claimed, elapsedSeconds, settings))
    log.warn({ event: 'agent.unhealthy', agentId }, 'its health address does not answer');
}
