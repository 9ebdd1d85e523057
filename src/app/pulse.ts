import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { CLAIMS_KEY, type EventHub, WORK_KEY } from '../operations/events/event-hub.ts';
import type { Clock } from '../processes/clock.ts';
import { createQuiet } from '../processes/quiet.ts';
import { type DueIn, readDueWork, type Work } from './due-work.ts';

/** Tells the loops of a worker whether they have anything to do, so that an idle one asks for nothing. */
export interface Pulse {
  isDue(work: Work): boolean;
  stop(): Promise<void>;
}

/** Notifications of the database come sooner; this is for those that were lost. */
const LOOK_MS = 10_000;
/** Between two looks, however many notifications come. */
const SHORTEST_MS = 500;
/** A look at what was due, or has an event, follows after this: it may be done by then. */
const AGAIN_MS = 1_000;
/** Without a look for this long the loops look for themselves. */
const SILENT_MS = 25_000;
/** A loop looks for itself this often in any case. */
const IN_ANY_CASE_MS = 300_000;

/**
 * While slots are handed over, everything but operations waits: a customer's second is worth more than what
 * can be done in the next one.
 */
const HAND_OVERS = { ms: 1_000, mostMs: 2_000 };

export interface PulseDeps {
  database: Database;
  events: Pick<EventHub, 'subscribe'>;
  clock: Clock;
  log: Log;
}

export function startPulse({ database, events, clock, log }: PulseDeps): Pulse {
  const looked = new Map<Work, number>();
  let known: { due: DueIn; at: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let nextAt = Infinity;
  let underWay: Promise<void> | undefined;
  let stopped = false;
  const quiet = createQuiet(HAND_OVERS);

  const look = async (): Promise<void> => {
    try {
      known = { due: await readDueWork(database), at: performance.now() };
    } catch (error) {
      log.warn({ event: 'pulse.failed', error: errorMessage(error) }, 'could not ask what is to be done');
    }
  };
  const run = () => {
    nextAt = Infinity;
    underWay ??= look().finally(() => {
      underWay = undefined;
      const asked = nextAt;
      nextAt = Infinity;
      schedule(Math.min(LOOK_MS, Math.max(SHORTEST_MS, asked - performance.now())));
    });
  };
  /** Looks after so many milliseconds, unless it looks sooner anyway. */
  const schedule = (ms: number) => {
    const at = performance.now() + ms;
    if (stopped || at >= nextAt) return;
    nextAt = at;
    // A look under way may miss what this is about: its end schedules the next one.
    if (underWay !== undefined) return;
    clearTimeout(timer);
    timer = setTimeout(run, ms);
  };
  const soon = () => schedule(Math.max(0, SHORTEST_MS - (performance.now() - (known?.at ?? 0))));
  const unsubscribe = [
    events.subscribe(WORK_KEY, soon),
    events.subscribe(CLAIMS_KEY, (operationId) => operationId !== undefined && quiet.begin()),
    // The queue wakes for what is due now: an event tells what is due later, such as a next try.
    events.subscribe('*', () => schedule(AGAIN_MS)),
  ];
  schedule(0);

  return {
    isDue: (work) => {
      if (work !== 'operations' && quiet.isQuiet()) return false;
      const now = performance.now();
      const isDue =
        known === undefined ||
        now - known.at > SILENT_MS ||
        now - (looked.get(work) ?? -Infinity) > IN_ANY_CASE_MS ||
        isKnownDue(known, work, clock);
      if (isDue) {
        looked.set(work, now);
        schedule(AGAIN_MS);
      }
      return isDue;
    },
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      for (const end of unsubscribe) end();
      await underWay;
    },
  };
}

function isKnownDue({ due, at }: { due: DueIn; at: number }, work: Work, clock: Clock): boolean {
  const seconds = due[work];
  if (seconds !== null && at + seconds * 1000 <= performance.now()) return true;
  return work === 'payments' && due.paymentsAt !== null && due.paymentsAt <= clock.now();
}
