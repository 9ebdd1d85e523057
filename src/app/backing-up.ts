import { type BackupDeps, makeBackup } from '../backups/make.ts';
import { startBackups } from '../backups/schedule.ts';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Database } from '../database/connect.ts';
import type { HttpDeps } from '../http/deps.ts';
import type { Log } from '../log.ts';
import type { Repeating } from '../processes/repeat.ts';

interface Deps {
  config: Config;
  connections: Connections;
  database: Database;
  log: Log;
}

const toDeps = ({ config, connections, database, log }: Deps): BackupDeps => ({
  database,
  log,
  databaseUrl: connections.databaseUrl,
  stateUrl: connections.pulumi.url,
  keyring: connections.pulumi.keyring,
  backups: config.backups,
  dataDir: config.dataDir,
});

/** What makes a backup when a person asks; undefined if it is not configured where to. */
export function openBackups(deps: Deps): HttpDeps['makeBackup'] {
  return deps.config.backups.to === undefined ? undefined : () => makeBackup(toDeps(deps));
}

/** Makes backups on a schedule. */
export const startBackingUp = (deps: Deps): Repeating | undefined => startBackups(toDeps(deps));
