import type { SnapshotPolicy } from '../../config/snapshots.ts';
import type { Database } from '../../database/connect.ts';
import { readSnapshotAges } from '../../snapshots/ages.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const CURE =
  'See under Attention why none was made since; `npm run agents -- snapshot <agent>`, then `snapshots drill <agent>`: docs/snapshots.md.';
const HOUR_MS = 3_600_000;
/** Pauses that may pass: one snapshot may fail, and a fleet takes its time. */
const MOST_PAUSES = 2;

interface Scheduled {
  snapshots: SnapshotPolicy;
  drillEveryMs: number | undefined;
}

/** Whether the schedules of agents' snapshots and of restore drills are kept. */
export function snapshotsProbe(database: Database, { snapshots, drillEveryMs }: Scheduled): Probe {
  const pauses = Object.values(snapshots).flatMap(({ everyMs }) => everyMs ?? []);
  return {
    name: 'agent-snapshots',
    blocks: nothing,
    cure: CURE,
    look: async () => {
      if (pauses.length === 0 && drillEveryMs === undefined) return 'not scheduled';
      const { oldest, drill } = await readSnapshotAges(database);
      refuseOld(
        'The newest snapshot of an agent',
        oldest,
        pauses.length === 0 ? undefined : Math.max(...pauses),
      );
      refuseOld('The last restore drill that succeeded', drill, drillEveryMs);
      return oldest === null ? 'none is due yet' : `no agent’s newest is older than ${toHours(oldest)} hours`;
    },
  };
}

const toHours = (seconds: number) => Math.ceil((seconds * 1000) / HOUR_MS);

/** @throws MisconfiguredError */
function refuseOld(what: string, seconds: number | null, everyMs: number | undefined): void {
  if (seconds === null || everyMs === undefined || seconds * 1000 <= everyMs * MOST_PAUSES) return;
  throw new MisconfiguredError(
    `${what} is ${toHours(seconds)} hours old, and one is wanted every ${Math.ceil(everyMs / HOUR_MS)}`,
    CURE,
  );
}
