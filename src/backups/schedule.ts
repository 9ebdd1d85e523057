import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import { type BackupDeps, makeBackup } from './make.ts';

const LOOK_SECONDS = 60;
/** After a failure it is tried again so much later, not after the whole pause. */
const RETRY_SECONDS = 900;

/** Makes a backup whenever the last good one is old enough. One worker does, at a time. */
export function startBackups(deps: BackupDeps, lookSeconds = LOOK_SECONDS): Repeating | undefined {
  if (deps.backups.to === undefined) return undefined;
  return repeatEvery(lookSeconds, async () => {
    try {
      if (await isDue(deps.database, deps.backups.everyMs)) await makeBackup(deps);
    } catch {
      // It is recorded and logged, and another worker may be at it.
    }
  });
}

async function isDue(database: Database, everyMs: number): Promise<boolean> {
  const { rows } = await sql<{ due: boolean }>`
    select not exists (select 1 from backups where location is not null and error is null
        and started_at > now() - make_interval(secs => ${everyMs / 1000}))
      and not exists (select 1 from backups where started_at > now() - make_interval(secs => ${RETRY_SECONDS})
        and (error is not null or finished_at is null))
      and exists (select 1 from installation where recovery = 'none') as due`.execute(database);
  return rows[0]?.due === true;
}
