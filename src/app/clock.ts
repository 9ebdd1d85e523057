import { sql } from 'kysely';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { readSandboxClock } from '../connections/sandbox-clock.ts';
import type { Database } from '../database/connect.ts';
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
  database,
  log,
}: {
  config: Pick<Config, 'mode'>;
  connections: Pick<Connections, 'stripe'>;
  database: Database;
  log: Log;
}): FollowedClock {
  const url = connections.stripe.apiUrl;
  if (config.mode === 'live' || url === undefined) return LIVE;
  return followClock({
    readOffsetMs: (signal) => readSandboxClock(url, signal),
    moved: async (now) => {
      log.info({ event: 'clock.moved', now }, `the sandbox's clock says ${now.toISOString()}`);
      await recordOffset(database, now.getTime() - Date.now());
    },
    failed: (error) =>
      log.debug({ event: 'clock.silent', error: errorMessage(error) }, "the sandbox's clock does not answer"),
  });
}

/** Lets the database's `business_now()` follow too. */
async function recordOffset(database: Database, ms: number): Promise<void> {
  const seconds = Math.round(ms / 1000);
  await database
    .updateTable('installation')
    .set({ clock_offset: sql`make_interval(secs => ${seconds})` })
    .execute();
}
