import { setTimeout as pause } from 'node:timers/promises';
import type { SandboxDatabase } from '../database.ts';
import { type BusinessWork, type MovingClock, runDueWork } from './due-work.ts';
import { SANDBOX_CLOCK } from './moment.ts';
import { ahead, type ClockState, endMove, movePosition, readClock, setTarget } from './store.ts';

/** The sandbox's clock: everything business-like follows it, and it can be moved forward. */
export interface SandboxClock {
  read(): Promise<ClockState>;
  /**
   * Moves the clock forward and answers when everything that falls due on the way has run. Moves that are
   * asked for together add up.
   * @returns undefined if the clock would be too far ahead
   */
  advance(seconds: number): Promise<ClockState | undefined>;
  /** Resolves once the signal has ended the loop. */
  stopped: Promise<void>;
}

const POLL_MS = 1000;

/**
 * Starts the loop that runs business work as it falls due, and continues a move that a kill interrupted. One
 * process at a time may use a sandbox's database.
 */
export function startSandboxClock(
  database: SandboxDatabase,
  work: BusinessWork,
  signal: AbortSignal,
): SandboxClock {
  let round: Promise<void> = Promise.resolve();
  // One round at a time: two would only wait for each other's transactions.
  const runRound = () => {
    round = round.catch(() => undefined).then(() => runClocks(database, work, signal));
    return round;
  };
  const loop = async () => {
    while (!signal.aborted) {
      // The database is down: the work stays due, and the next round finds it.
      await runRound().catch(() => undefined);
      await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  return {
    read: () => readClock(database),
    stopped: loop(),
    advance: async (seconds) => {
      const target = await setTarget(database, seconds);
      if (target === undefined) return undefined;
      for (;;) {
        await runRound();
        const state = await readClock(database);
        if (state.offsetSeconds >= target || signal.aborted) return state;
      }
    },
  };
}

/** Runs what is due on every clock: on the sandbox's own first. */
async function runClocks(database: SandboxDatabase, work: BusinessWork, signal: AbortSignal): Promise<void> {
  const { offsetSeconds, targetSeconds } = await readClock(database);
  const own: MovingClock = {
    clock: SANDBOX_CLOCK,
    until: () => ahead(targetSeconds ?? offsetSeconds),
    ...(targetSeconds !== null && { reached: movePosition, arrived: (trx) => endMove(trx, targetSeconds) }),
  };
  if (!(await runDueWork(database, work, own, signal))) return;
  for (const moving of await work.listMoving(database)) await runDueWork(database, work, moving, signal);
}
