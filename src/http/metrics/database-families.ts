import { sql } from 'kysely';
import { readOutcome } from '../../canary/runs.ts';
import type { Watched } from '../../connections/connections.ts';
import type { Database } from '../../database/connect.ts';
import { countImages } from '../../images/listing.ts';
import { listBreakers } from '../../limits/listing.ts';
import { readTallies } from '../../operations/tallies.ts';
import { listProjects, type ProjectState } from '../../projects/projects.ts';
import { type Family, PREFIX, type Sample } from '../../telemetry/families.ts';
import { countFamilies } from './count-families.ts';
import { meanStepSeconds } from './ledger-metrics.ts';
import { poolFamilies } from './pool-metrics.ts';
import { snapshotFamilies } from './snapshot-metrics.ts';
import { tallyFamilies } from './tally-families.ts';

/** What every process of an installation would say alike, because the database knows it. */
export async function readDatabaseFamilies({
  database,
  watched,
  at,
}: {
  database: Database;
  watched: Watched | undefined;
  /** Business time. */
  at: Date;
}): Promise<Family[]> {
  const [tallies, counts, steps, pools, images, breakers, canary, backups, projects, snapshots] =
    await Promise.all([
      readTallies(database),
      countFamilies(database),
      meanStepSeconds(database),
      poolFamilies(database),
      imageFamilies(database),
      breakerFamilies(database, at),
      canaryFamilies(database),
      backupFamilies(database),
      projectFamilies(database),
      snapshotFamilies(database),
    ]);
  return [
    ...tallyFamilies(tallies),
    ...counts,
    steps,
    ...pools,
    ...images,
    watchedFamily(watched),
    ...breakers,
    ...canary,
    ...backups,
    ...projects,
    ...snapshots,
  ];
}

const watchedFamily = (watched: Watched | undefined): Family =>
  gauge(
    'clouds_watched',
    'Whether this service has the keys to sweep what is in the Hetzner project',
    (watched?.projects ?? []).map(({ project, isSwept }) => ({
      labels: { project },
      value: isSwept ? 1 : 0,
    })),
  );

/** How the last canary ended, and how long ago one succeeded; nothing while there was none. */
async function canaryFamilies(database: Database): Promise<Family[]> {
  const { status, succeededAt } = await readOutcome(database);
  const age = succeededAt === null ? undefined : (Date.now() - succeededAt.getTime()) / 1000;
  return [
    gauge('canary_succeeded', 'Whether the last canary went through its whole life', [
      ...(status === null ? [] : [{ labels: {}, value: status === 'succeeded' ? 1 : 0 }]),
    ]),
    gauge('canary_age_seconds', 'Time since a canary last succeeded', [
      ...(age === undefined ? [] : [{ labels: {}, value: age }]),
    ]),
  ];
}

/** Nothing where no backup was ever made: an alert on its absence is the operator's choice. */
async function backupFamilies(database: Database): Promise<Family[]> {
  const { rows } = await sql<{ age: number; size: number; isVerified: boolean }>`
    select extract(epoch from now() - started_at)::float8 as age, bytes::float8 as size,
      verified_at is not null as "isVerified"
    from backups where location is not null and error is null order by backup_id desc limit 1`.execute(
    database,
  );
  const [last] = rows;
  if (last === undefined) return [];
  const one = (value: number) => [{ labels: {}, value }];
  return [
    gauge('backup_age_seconds', 'Seconds since the last backup began', one(last.age)),
    gauge('backup_bytes', 'Size of the last backup', one(last.size)),
    gauge('backup_verified', 'Whether the last backup was restored as a check', one(last.isVerified ? 1 : 0)),
  ];
}

export function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name: `${PREFIX}${name}`, type: 'gauge', help, samples };
}

/** Metrics that had a name without prefix in earlier versions, and keep it until the next release. */
const FORMERLY_BARE = new Set([
  'agents',
  'operations',
  'operations_due',
  'operations_due_oldest_seconds',
  'stripe_events_total',
  'orders_attention',
  'subscriptions_due',
  'subscriptions_due_oldest_seconds',
  'subscriptions_unreadable',
  'findings',
  'workers',
  'clouds_watched',
  'provision_seconds',
  'breaker_tripped',
  'breaker_waiting',
  'breaker_used',
  'breaker_allowed',
]);

/** Repeats what had a name without prefix under that name. */
export function withOldNames(families: readonly Family[]): Family[] {
  return families.flatMap((family) => {
    const bare = family.name.slice(PREFIX.length);
    if (!FORMERLY_BARE.has(bare)) return [family];
    const help = `Deprecated, removed in the next release: use ${family.name}. ${family.help}`;
    return [family, { ...family, name: bare, help }];
  });
}

async function imageFamilies(database: Database): Promise<Family[]> {
  const counted = await countImages(database);
  const samples = (value: (one: (typeof counted)[number]) => number) =>
    counted.map((one) => ({ labels: { status: one.status }, value: value(one) }));
  return [
    gauge(
      'images',
      'Images that servers are made from, by status',
      samples(({ count }) => count),
    ),
    gauge(
      'image_gigabytes',
      'What is billed for images',
      samples(({ sizeGb }) => sizeGb),
    ),
  ];
}

async function projectFamilies(database: Database): Promise<Family[]> {
  const projects = await listProjects(database);
  const one = (name: string, help: string, value: (project: ProjectState) => number | null) =>
    gauge(
      name,
      help,
      projects.flatMap((project) => {
        const sample = value(project);
        return sample === null ? [] : [{ labels: { project: project.name }, value: sample }];
      }),
    );
  return [
    one('project_servers', 'Servers that are or will be in a Hetzner project', ({ servers }) => servers),
    one('project_most_servers', 'Servers that a Hetzner project may have', ({ mostServers }) => mostServers),
    one('project_draining', 'Whether nothing new comes into a Hetzner project', ({ drainingSince }) =>
      drainingSince === null ? 0 : 1,
    ),
  ];
}

async function breakerFamilies(database: Database, at: Date): Promise<Family[]> {
  const states = await listBreakers(database, at);
  const one = (name: string, help: string, value: (state: (typeof states)[number]) => number | null) =>
    gauge(
      name,
      help,
      states.flatMap((state) => {
        const sample = value(state);
        return sample === null ? [] : [{ labels: { breaker: state.name }, value: sample }];
      }),
    );
  return [
    one('breaker_tripped', 'Whether a breaker holds changes back', ({ trippedAt }) => (trippedAt ? 1 : 0)),
    one('breaker_waiting', 'Changes that wait for a breaker', ({ waiting }) => waiting),
    one('breaker_used', 'Changes within its period; spend: euros an hour', ({ used }) => used),
    one('breaker_allowed', 'The limit of a breaker that has one', ({ allowed }) => allowed),
  ];
}
