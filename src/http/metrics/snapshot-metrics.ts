import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { readSnapshotAges } from '../../snapshots/ages.ts';
import type { Family, Sample } from '../../telemetry/families.ts';
import { PREFIX } from '../../telemetry/families.ts';

interface Counted {
  status: string;
  count: number;
  sizeGb: number;
}

/** Agents' snapshots, and the drills that show that they are of use. */
export async function snapshotFamilies(database: Database): Promise<Family[]> {
  const { rows: counted } = await sql<Counted>`
    select status, count(*)::float8 as count, coalesce(sum(size_gb), 0)::float8 as "sizeGb"
    from agent_snapshots where status in ('making', 'available', 'removing') group by status order by status`.execute(
    database,
  );
  const { oldest, drill, hasPassed } = await readSnapshotAges(database);
  const one = (value: number | null): Sample[] => (value === null ? [] : [{ labels: {}, value }]);
  const of = (value: (row: Counted) => number) =>
    counted.map((row) => ({ labels: { status: row.status }, value: value(row) }));
  return [
    gauge(
      'agent_snapshots',
      'Snapshots of agents, by status',
      of(({ count }) => count),
    ),
    gauge(
      'agent_snapshot_gigabytes',
      'What is billed for snapshots of agents',
      of(({ sizeGb }) => sizeGb),
    ),
    gauge(
      'agent_snapshot_age_seconds',
      'Age of the newest snapshot of the agent whose is oldest',
      one(oldest),
    ),
    gauge('snapshot_drill_succeeded', 'Whether the last restore drill succeeded', [
      ...(hasPassed === null ? [] : [{ labels: {}, value: hasPassed ? 1 : 0 }]),
    ]),
    gauge('snapshot_drill_age_seconds', 'Time since a restore drill last succeeded', one(drill)),
  ];
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  ...{ name: `${PREFIX}${name}`, type: 'gauge', help, samples },
});
