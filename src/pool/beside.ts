import { errorMessage } from '../errors.ts';
import { refreshPrices } from '../limits/prices.ts';
import { type Clock, systemClock } from '../processes/clock.ts';
import { checkSlots } from './check-slots.ts';
import type { SlotAttemptDeps } from './slot-attempt.ts';

export interface BesideDeps extends Pick<SlotAttemptDeps, 'database' | 'parts' | 'log'> {
  /** Whether this process can reach servers at all. While it cannot, a slot's silence means nothing. */
  canReach(): Promise<boolean>;
  clock?: Clock;
}

/** What the keeper does beside its looks, because servers and Hetzner may take long to answer. */
export interface Beside {
  /** Asks the slots that are due for their health, unless that is under way; silent ones by themselves. */
  checkHealth(): void;
  /** Fetches prices if they are due, unless that is under way. @returns whether it has been tried once */
  refreshPrices(): boolean;
  /** Waits for what is under way. */
  stop(): Promise<void>;
}

/** How long after a failure Hetzner is asked for its prices again. */
const PRICES_AGAIN_MS = 5 * 60_000;

export function createBeside(deps: BesideDeps, signal: AbortSignal): Beside {
  const failed = new Set<string>();
  const checks = (['answering', 'silent'] as const).map((group) =>
    createSingle(() => checkHealth(deps, failed, signal, group)),
  );
  const prices = createSingle(createPrices(deps));
  return {
    checkHealth: () => {
      for (const check of checks) check.begin();
    },
    refreshPrices: () => {
      prices.begin();
      return prices.hasEnded();
    },
    stop: async () => {
      await Promise.all([...checks, prices].map(({ end }) => end()));
    },
  };
}

/** Work of which one run at a time is under way. */
function createSingle(work: () => Promise<void>) {
  let running: Promise<void> | undefined;
  let ended = 0;
  return {
    begin: () => {
      running ??= work().finally(() => {
        running = undefined;
        ended += 1;
      });
    },
    hasEnded: () => ended > 0,
    end: async () => running,
  };
}

async function checkHealth(
  { database, parts, log, canReach }: BesideDeps,
  failed: Set<string>,
  signal: AbortSignal,
  group: 'answering' | 'silent',
): Promise<void> {
  try {
    if (group === 'silent' && failed.size === 0) return;
    const retired = await checkSlots(database, { health: parts.health, canReach, failed }, signal, group);
    for (const slotId of retired)
      log.warn({ event: 'slot.silent', slotId }, 'a slot does not answer: it is removed');
  } catch (error) {
    if (!signal.aborted)
      log.warn({ event: 'pool.check_failed', error: errorMessage(error) }, 'could not check the slots');
  }
}

/** Old prices still count: without an answer of Hetzner the pool is kept with those. */
function createPrices({ database, parts, log, clock = systemClock }: BesideDeps): () => Promise<void> {
  let againAt = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = clock.now();
    if (now.getTime() < againAt) return;
    try {
      await refreshPrices({ database, hetzner: parts.hetzner }, now, true);
    } catch (error) {
      againAt = now.getTime() + PRICES_AGAIN_MS;
      log.warn({ event: 'pool.prices_failed', error: errorMessage(error) }, 'could not fetch the prices');
    }
  };
}
