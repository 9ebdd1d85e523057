import type { SnapshotPolicy } from '../config/snapshots.ts';
import { isRecovering } from '../database/recovering.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import { advanceDrill, type DrillDeps } from './drill.ts';
import { startDueDrill } from './drills.ts';
import { expireSnapshots, type KeeperDeps, removeNext } from './keeper.ts';
import { queueDueSnapshots } from './schedule.ts';

const LOOK_SECONDS = 5;
const DRILL_SECONDS = 5;
/** Of a fleet that is destroyed; the rest follows at the next look. */
const MOST_REMOVALS = 20;

/**
 * Has agents' snapshots made when they are due, and removes those whose time is over. Every worker does this;
 * what each decides stands in the rows.
 */
export function startSnapshots(
  deps: KeeperDeps & { policy: SnapshotPolicy; log: Log },
  lookSeconds = LOOK_SECONDS,
  isDue?: IsDue,
): Repeating {
  const look = async () => {
    try {
      await lookAfterSnapshots(deps);
    } catch (error) {
      const text = 'could not look after the agents’ snapshots';
      deps.log.warn({ event: 'snapshots.failed', error: errorMessage(error) }, text);
    }
  };
  return repeatEvery(lookSeconds, look, isDue);
}

export async function lookAfterSnapshots(deps: KeeperDeps & { policy: SnapshotPolicy }): Promise<void> {
  const { database, policy } = deps;
  // Whose things are whose may not be known yet.
  if (await isRecovering(database)) return;
  await expireSnapshots(database, policy);
  for (let removed = 0; removed < MOST_REMOVALS && (await removeNext(deps)); ) removed += 1;
  await queueDueSnapshots(database, policy);
}

export async function lookAfterDrills(deps: DrillDeps & { everyMs: number | undefined }): Promise<void> {
  // Nothing is made or removed meanwhile.
  if (await isRecovering(deps.database)) return;
  await startDueDrill(deps.database, deps.everyMs);
  await advanceDrill(deps);
}

/** Begins restore drills when they are due, and takes the one that runs to its end. In every worker. */
export function startDrills(
  deps: DrillDeps & { everyMs: number | undefined; log: Log },
  isDue?: IsDue,
): Repeating {
  const look = async () => {
    try {
      await lookAfterDrills(deps);
    } catch (error) {
      const text = 'could not look after the restore drill';
      deps.log.warn({ event: 'drill.failed', error: errorMessage(error) }, text);
    }
  };
  return repeatEvery(DRILL_SECONDS, look, isDue);
}
