import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import type { Family, Sample } from '../../telemetry/families.ts';
import { PREFIX } from '../../telemetry/families.ts';

interface Counted {
  status: string;
  count: number;
  sizeGb: number;
}

interface Ages {
  /** Of the newest snapshot of the agent that has had none for longest, among those that the schedule has. */
  oldest: number | null;
  drill: number | null;
  hasPassed: boolean | null;
}

/** Agents' snapshots, and the drills that show that they are of use. */
export async function snapshotFamilies(database: Database): Promise<Family[]> {
  const { rows: counted } = await sql<Counted>`
    select status, count(*)::float8 as count, coalesce(sum(size_gb), 0)::float8 as "sizeGb"
    from agent_snapshots where status in ('making', 'available', 'removing') group by status order by status`.execute(
    database,
  );
  const { oldest, drill, hasPassed } = await readAges(database);
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

async function readAges(database: Database): Promise<Ages> {
  const { rows } = await sql<Ages>`
    select
      (select extract(epoch from max(business_now() - newest))::float8 from (
        select coalesce(max(made_at) filter (where s.status = 'available'), min(made_at)) as newest
        from agent_snapshots s join agents a using (agent_id) where a.status in ('running', 'stopped')
        group by agent_id having bool_or(why = 'scheduled')) each) as oldest,
      (select extract(epoch from now() - max(finished_at))::float8 from snapshot_drills
        where status = 'succeeded') as drill,
      (select status = 'succeeded' from snapshot_drills where finished_at is not null
        order by finished_at desc limit 1) as "hasPassed"`.execute(database);
  return rows[0]!;
}

const gauge = (name: string, help: string, samples: readonly Sample[]): Family => ({
  ...{ name: `${PREFIX}${name}`, type: 'gauge', help, samples },
});
