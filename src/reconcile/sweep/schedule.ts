import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { errorMessage } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { type SweepDeps, sweep } from './sweep.ts';
import type { SweepReport } from './sweeps.ts';
import { sweptWithin } from './sweeps.ts';

export interface Sweeping {
  /** Aborts a running sweep and waits until it has ended. */
  stop(): Promise<void>;
}

const INTERVAL_SECONDS = 600;

/** Sweeps about every ten minutes; only one worker of an installation at a time. */
export function startSweeping(deps: SweepDeps, intervalSeconds = INTERVAL_SECONDS): Sweeping {
  const stopping = new AbortController();
  let timer: NodeJS.Timeout;
  let running = sweepSafely(deps, stopping.signal, 0);
  const later = () => {
    // Jitter, so that the workers do not all try simultaneously.
    const seconds = intervalSeconds * (0.9 + Math.random() * 0.2);
    timer = setTimeout(() => {
      running = sweepSafely(deps, stopping.signal, intervalSeconds * 0.8).finally(later);
    }, seconds * 1000);
  };
  void running.finally(later);
  return {
    stop: async () => {
      stopping.abort(new Error('The worker is stopping'));
      await running;
      clearTimeout(timer);
    },
  };
}

async function sweepSafely(deps: SweepDeps, signal: AbortSignal, pauseSeconds: number): Promise<void> {
  try {
    await sweepAlone(deps, { pauseSeconds, signal });
  } catch (error) {
    if (!signal.aborted) logFailure(deps.log, error);
  }
}

/**
 * Sweeps, unless another worker is sweeping or has begun a sweep less than `pauseSeconds` ago.
 * @returns undefined if it did not sweep.
 */
export async function sweepAlone(
  deps: SweepDeps,
  { pauseSeconds, signal }: { pauseSeconds: number; signal: AbortSignal },
): Promise<SweepReport | undefined> {
  return deps.database.connection().execute(async (connection) => {
    if (!(await tryLock(connection))) return undefined;
    try {
      if (pauseSeconds > 0 && (await sweptWithin(connection, pauseSeconds))) return undefined;
      return await sweep(deps, signal);
    } finally {
      await sql`select pg_advisory_unlock(hashtext('sweep'), 0)`.execute(connection);
    }
  });
}

async function tryLock(connection: Database): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_lock(hashtext('sweep'), 0) as locked`.execute(connection);
  return rows[0]?.locked === true;
}

function logFailure(log: Log, error: unknown): void {
  log.warn({ event: 'sweep.failed', error: errorMessage(error) }, 'the sweep failed');
}
