import { errorMessage } from '../../errors.ts';
import { claimNext } from '../../operations/claims.ts';
import { kindsBeside, operationKinds } from '../../operations/registry.ts';
import type { OperationKind } from '../../operations/states.ts';
import type { IsDue } from '../../processes/repeat.ts';
import { type AttemptDeps, runAttempt } from './attempt.ts';
import { settleExpired } from './expired.ts';
import { type Readiness, stopTelling, tellWaiting, toWaiting } from './readiness.ts';
import { registerWorker, unregisterWorker } from './workers.ts';

export interface Worker {
  readonly workerId: string;
  /** The number of running attempts. */
  active(): number;
  /** Stops claiming. Running attempts are handed back once they have finished their current resource. */
  stop(): Promise<void>;
}

const POLL_SECONDS = 2;
/** A worker counts as gone after ten seconds without a sign. */
const POLLS_PER_BEAT = 2;

/** Attempts at work, at most so many at once, of all kinds but these. */
interface Lane {
  underWay: Set<Promise<void>>;
  most: number;
  others(): OperationKind[];
}

const otherKinds = () => operationKinds().filter((kind) => !kindsBeside().includes(kind));

/** What a lane does not claim. */
function besides(
  others: Lane['others'],
  { readiness, projects }: { readiness?: Readiness | undefined; projects?: readonly string[] | undefined },
) {
  const waiting = toWaiting(readiness, projects);
  return { ...waiting, kinds: [...waiting.kinds, ...others()] };
}

/**
 * Claims and runs operations, up to `concurrency` at once, and beside them one that only waits for Hetzner.
 * pg-boss wakes it. It also polls the rows, for operations that no job announced and attempts that other
 * workers lost: `isDue` says whether there may be any.
 */
export async function startWorker(
  deps: AttemptDeps & {
    concurrency: number;
    workerId: string;
    isDue?: IsDue | undefined;
    /** The Hetzner projects that this process has; undefined: all. */
    projects?: readonly string[] | undefined;
  },
): Promise<Worker> {
  const { database, queue, log, concurrency, workerId } = deps;
  const stopping = new AbortController();
  const slots: Lane = { underWay: new Set(), most: concurrency, others: kindsBeside };
  const beside: Lane = { underWay: new Set(), most: 1, others: otherKinds };

  const takeOne = async ({ underWay, most, others }: Lane): Promise<void> => {
    if (stopping.signal.aborted || underWay.size >= most) return;
    let settle = () => {};
    const slot = new Promise<void>((resolve) => {
      settle = resolve;
    });
    underWay.add(slot);
    try {
      for (;;) {
        const operation = stopping.signal.aborted
          ? undefined
          : await claimNext(database, workerId, deps.leaseSeconds, besides(others, deps));
        if (operation === undefined) return;
        await runAttempt(deps, operation, workerId, stopping.signal);
      }
    } finally {
      underWay.delete(slot);
      settle();
    }
  };
  const takeFrom = (lane: Lane) =>
    takeOne(lane).catch((error: unknown) =>
      log.warn({ event: 'worker.wake_failed', error: errorMessage(error) }, 'could not claim an operation'),
    );
  const wake = () => takeFrom(slots);
  let polls = 0;
  const pollRows = async () => {
    polls += 1;
    if (polls % POLLS_PER_BEAT === 1) await registerWorker(database, { workerId, concurrency });
    if (deps.isDue?.() === false) return;
    await settleExpired(database, queue, log);
    if (deps.readiness !== undefined) await tellWaiting(database, deps.readiness, deps.projects);
    void wake();
    void takeFrom(beside);
  };
  let polling: Promise<unknown> = Promise.resolve();
  const pollSafely = () => {
    const poll = pollRows().catch((error: unknown) =>
      log.warn({ event: 'worker.poll_failed', error: errorMessage(error) }, 'could not poll the operations'),
    );
    polling = Promise.all([polling, poll]);
  };

  await registerWorker(database, { workerId, concurrency });
  await queue.work(concurrency, wake);
  const timer = setInterval(pollSafely, POLL_SECONDS * 1000);
  pollSafely();
  return {
    workerId,
    active: () => slots.underWay.size,
    stop: async () => {
      clearInterval(timer);
      stopping.abort();
      await polling;
      await Promise.all([...slots.underWay, ...beside.underWay]);
      if (deps.readiness !== undefined) await stopTelling(database);
      await unregisterWorker(database, workerId);
    },
  };
}
