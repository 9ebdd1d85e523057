import { errorMessage } from '../errors.ts';
import type { HetznerClient } from '../hetzner/hetzner.ts';
import type { Log } from '../log.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import { refreshPrices } from './prices.ts';
import { type ReleaseDeps, releaseHeld } from './release.ts';

export interface ReleaseLoopDeps extends ReleaseDeps {
  log: Log;
  /** Undefined if this process has no key of Hetzner's. */
  hetzner?: Pick<HetznerClient, 'listServerPrices'> | undefined;
}

/** How often this process looks for approved changes. */
const LOOK_SECONDS = 2;
/** How long it waits after Hetzner has not told its prices. */
const PRICE_RETRY_SECONDS = 60;

/** Lets approved changes go at the allowed rate, and keeps the prices fresh. Every worker does this. */
export function startReleasing(
  deps: ReleaseLoopDeps,
  { lookSeconds = LOOK_SECONDS, isDue }: { lookSeconds?: number; isDue?: IsDue | undefined } = {},
): Repeating {
  return repeatEvery(lookSeconds, createLook(deps), isDue);
}

function createLook(deps: ReleaseLoopDeps): () => Promise<void> {
  const { log } = deps;
  const told = new Map<string, number>();
  let pricesAfter = 0;
  return async () => {
    try {
      if (Date.now() >= pricesAfter && !(await tryPrices(deps)))
        pricesAfter = Date.now() + PRICE_RETRY_SECONDS * 1000;
      const released = await releaseHeld(deps);
      if (released > 0) log.info({ event: 'breaker.released', released }, 'approved changes went ahead');
      await logTripped(deps, told);
    } catch (error) {
      const text = 'could not look for approved changes';
      log.warn({ event: 'breaker.look_failed', error: errorMessage(error) }, text);
    }
  };
}

/** @returns false if Hetzner has not told them */
async function tryPrices({ database, hetzner, clock, log }: ReleaseLoopDeps): Promise<boolean> {
  if (hetzner === undefined) return true;
  try {
    await refreshPrices({ database, hetzner }, clock.now());
    return true;
  } catch (error) {
    log.warn(
      { event: 'prices.fetch_failed', error: errorMessage(error) },
      'could not fetch Hetzner’s prices',
    );
    return false;
  }
}

/** Logs each trip once. `told`: how often each breaker had tripped when it was last logged. */
async function logTripped({ database, log }: ReleaseLoopDeps, told: Map<string, number>): Promise<void> {
  const tripped = await database
    .selectFrom('breakers')
    .select(['name', 'cause', 'trips'])
    .where('tripped_at', 'is not', null)
    .execute();
  for (const { name, cause, trips } of tripped) {
    if (told.get(name) === trips) continue;
    told.set(name, trips);
    log.warn({ event: 'breaker.tripped', breaker: name, cause }, 'a breaker holds changes back');
  }
}
