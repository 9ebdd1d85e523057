import { errorMessage } from '../../errors.ts';
import { claimNext } from '../../operations/claims.ts';
import { type AttemptDeps, runAttempt } from './attempt.ts';
import { settleExpired } from './expired.ts';
import { stopTelling, tellWaiting, waitingKinds } from './readiness.ts';
import { registerWorker, unregisterWorker } from './workers.ts';

export interface Worker {
  readonly workerId: string;
  /** Attempts under way. */
  active(): number;
  /** Takes nothing further; what is under way is handed back once its resource under work is finished. */
  stop(): Promise<void>;
}

const LOOK_SECONDS = 2;

/**
 * Takes operations and carries them out, `concurrency` at once. pg-boss wakes it; a regular look at the rows
 * finds what no job announced, and what other workers left behind.
 */
export async function startWorker(
  deps: AttemptDeps & { concurrency: number; workerId: string },
): Promise<Worker> {
  const { database, queue, log, concurrency, workerId } = deps;
  const stopping = new AbortController();
  const underWay = new Set<Promise<void>>();

  const takeOne = async (): Promise<void> => {
    if (stopping.signal.aborted || underWay.size >= concurrency) return;
    let settle = () => {};
    const slot = new Promise<void>((resolve) => {
      settle = resolve;
    });
    underWay.add(slot);
    try {
      for (;;) {
        const operation = stopping.signal.aborted
          ? undefined
          : await claimNext(database, workerId, deps.leaseSeconds, waitingKinds(deps.readiness));
        if (operation === undefined) return;
        await runAttempt(deps, operation, workerId, stopping.signal);
      }
    } finally {
      underWay.delete(slot);
      settle();
    }
  };
  const wake = () =>
    takeOne().catch((error: unknown) =>
      log.warn({ event: 'worker.wake_failed', error: errorMessage(error) }, 'could not look for work'),
    );
  const look = async () => {
    await registerWorker(database, { workerId, concurrency });
    await settleExpired(database, queue, log);
    if (deps.readiness !== undefined) await tellWaiting(database, deps.readiness);
    void wake();
  };
  const lookSafely = () =>
    look().catch((error: unknown) =>
      log.warn({ event: 'worker.poll_failed', error: errorMessage(error) }, 'could not look at the rows'),
    );

  await registerWorker(database, { workerId, concurrency });
  await queue.work(concurrency, wake);
  const timer = setInterval(() => void lookSafely(), LOOK_SECONDS * 1000);
  void lookSafely();
  return {
    workerId,
    active: () => underWay.size,
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await Promise.all(underWay);
      if (deps.readiness !== undefined) await stopTelling(database);
      await unregisterWorker(database, workerId);
    },
  };
}
