import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { readSandboxClock } from '../connections/sandbox-clock.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { systemClock } from '../processes/clock.ts';
import { type FollowedClock, followClock } from '../processes/followed-clock.ts';

const LIVE: FollowedClock = { ...systemClock, refresh: async () => true, stop: async () => {} };

/**
 * Opens the clock of business decisions: the system's in live mode; in sandbox mode and in a rehearsal the
 * sandbox's, whenever that answers.
 */
export function openClock({
  config,
  connections,
  log,
}: {
  config: Pick<Config, 'mode'>;
  connections: Pick<Connections, 'stripe'>;
  log: Log;
}): FollowedClock {
  const url = connections.stripe.apiUrl;
  if (config.mode === 'live' || url === undefined) return LIVE;
  return followClock({
    readOffsetMs: (signal) => readSandboxClock(url, signal),
    moved: (now) => log.info({ event: 'clock.moved', now }, `the sandbox's clock says ${now.toISOString()}`),
    failed: (error) =>
      log.debug({ event: 'clock.silent', error: errorMessage(error) }, "the sandbox's clock does not answer"),
  });
}
