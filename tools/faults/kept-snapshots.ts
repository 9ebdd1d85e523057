import type pg from 'pg';
import type { Snapshot } from './snapshot.ts';
import { type Violation, violated } from './violation.ts';

/** A row of an agent's snapshot that is kept beside its server. */
export interface KeptRecord {
  snapshot_id: string;
  agent_id: string;
  why: string;
  status: string;
  hetzner_id: string | null;
}

/** A restore drill, which is known by the name of its server. */
export interface DrillRecord {
  drill_id: string;
  status: string;
}

export async function readKept(
  client: pg.ClientBase,
): Promise<{ kept: KeptRecord[]; drills: DrillRecord[] }> {
  const kept = await client.query<KeptRecord>(
    'select snapshot_id::text, agent_id, why, status, hetzner_id from agent_snapshots',
  );
  const drills = await client.query<DrillRecord>('select drill_id, status from snapshot_drills');
  return { kept: kept.rows, drills: drills.rows };
}

/** The id of an agent's snapshot by its label; undefined for what a hibernation has made. */
export const keptAs = ({ labels }: { labels: Record<string, string> }): string | undefined =>
  labels['agent-snapshot'];

/** Whether a drill that runs knows this server. */
export const isDrill = ({ drills }: Pick<Snapshot, 'drills'>, name: string): boolean =>
  drills.some(({ drill_id: id, status }) => id === name && status === 'running');

/** Checks at rest that Hetzner has each complete snapshot of a row, and no other; and nothing of a drill. */
export function checkKept({ kept, drills, clouds }: Snapshot): Violation[] {
  const there = new Map(clouds.snapshots.map((one) => [String(one.id), one]));
  const complete = kept.filter(({ status }) => status === 'available');
  const known = new Set(complete.map(({ hetzner_id: id }) => id));
  return [
    ...violated(
      'no snapshot nobody knows of',
      clouds.snapshots
        .filter((one) => keptAs(one) !== undefined && !known.has(String(one.id)))
        .map(({ id, description, status }) => `${description} (${id}) is ${status} and has no row`),
    ),
    ...violated(
      'every snapshot of a row is complete at Hetzner',
      complete
        .filter(({ hetzner_id: id }) => there.get(id ?? '')?.status !== 'available')
        .map(({ agent_id: agent, hetzner_id: id }) => `${id} of ${agent}`),
    ),
    ...violated(
      'no snapshot is left half-made',
      kept
        .filter(({ status }) => status === 'making' || status === 'removing')
        .map(({ snapshot_id: id, status }) => `${id} is ${status}`),
    ),
    ...violated(
      'a drill comes to its end',
      drills.filter(({ status }) => status === 'running').map(({ drill_id: id }) => id),
    ),
  ];
}

/** What of them is not at rest yet. */
export async function keptOnTheirWay(database: pg.ClientBase, resting: number): Promise<{ what: string }[]> {
  const { rows } = await database.query<{ what: string }>(
    `select 'snapshot ' || snapshot_id || ' of ' || agent_id || ' is ' || status as what from agent_snapshots
       where status = 'making' or (status = 'removing' and run_after < now() + make_interval(secs => $1))
     union all
     select drill_id || ' is running' from snapshot_drills where status = 'running'`,
    [resting],
  );
  return rows;
}
