import type { SandboxDatabase, SandboxTransaction } from '../database.ts';
import { reserveClock } from './store.ts';

/** Business work that falls due on clocks: the sandbox's own and others. */
export interface BusinessWork {
  /**
   * Runs the earliest work that is due on a clock by `until`, at its own time.
   * @returns that time, or undefined if nothing is due
   */
  runNext(trx: SandboxTransaction, clock: string, until: Date): Promise<Date | undefined>;
  /** Puts off the earliest due work, which has failed, so that it does not block what comes after it. */
  postponeNext(trx: SandboxTransaction, clock: string, until: Date): Promise<void>;
  /** Lists the other clocks that are being moved. */
  listMoving(database: SandboxDatabase): Promise<MovingClock[]>;
}

/** A clock on its way to a time. */
export interface MovingClock {
  clock: string;
  /** Until when work counts as due. Called for every batch, as a clock may run meanwhile. */
  until(): Date;
  /** Called in a batch's transaction with the time of its last work. */
  reached?(trx: SandboxTransaction, at: Date): Promise<void>;
  /** Called in the transaction that finds nothing more to do. */
  arrived?(trx: SandboxTransaction): Promise<void>;
}

/** A batch is one transaction: the more it holds, the fewer commits; requests wait for its end. */
const BATCH = 20;
const TRIES = 3;

/**
 * Runs everything that falls due on a clock, one after the other in the order of the due times. Work and the
 * note that it ran are one transaction, so a kill at any point loses and repeats nothing.
 * @returns false if the signal ended it early
 */
export async function runDueWork(
  database: SandboxDatabase,
  work: BusinessWork,
  moving: MovingClock,
  signal: AbortSignal,
): Promise<boolean> {
  let limit = BATCH;
  let failures = 0;
  while (!signal.aborted) {
    try {
      const count = await runBatch(database, work, moving, limit);
      if (count < limit) return true;
      limit = BATCH;
      failures = 0;
    } catch (error) {
      // Alone, so that the others of the batch do not fail with it.
      limit = 1;
      failures += 1;
      console.error(`sandbox clock: ${error instanceof Error ? error.message : error}`);
      if (failures < TRIES) continue;
      await postpone(database, work, moving);
      failures = 0;
    }
  }
  return false;
}

/** @returns how much work ran; less than `limit` if nothing more is due */
async function runBatch(
  database: SandboxDatabase,
  work: BusinessWork,
  { clock, until, reached, arrived }: MovingClock,
  limit: number,
): Promise<number> {
  return database.transaction().execute(async (trx) => {
    await reserveClock(trx);
    let last: Date | undefined;
    let count = 0;
    while (count < limit) {
      const at = await work.runNext(trx, clock, until());
      if (at === undefined) break;
      last = at;
      count += 1;
    }
    if (count < limit) await arrived?.(trx);
    else if (last !== undefined) await reached?.(trx, last);
    return count;
  });
}

async function postpone(
  database: SandboxDatabase,
  work: BusinessWork,
  { clock, until }: MovingClock,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await reserveClock(trx);
    await work.postponeNext(trx, clock, until());
  });
}
