import { sql } from 'kysely';
import { audit } from '../../agents/audit.ts';
import type { Database } from '../../database/connect.ts';
import type { Budgets } from './budget.ts';
import type { CloudView } from './findings.ts';
import { hetznerOf, type SweptClouds } from './inventory.ts';
import type { Resource } from './resources.ts';

type SnapshotResource = Extract<Resource, { kind: 'snapshot' }>;

/** An agent's snapshot that its row says exists and that was not listed. This is only a suspicion. */
export interface UnlistedSnapshot {
  snapshotId: string;
  hetznerId: string;
  agentId: string;
  /** The Hetzner project that it was in. */
  project: string;
}

/**
 * Takes the agents' own snapshots, and the server of a restore drill, out of what a sweep compares with
 * agents: a row of theirs names each, by the id that was recorded, or by the label while it is made. Anything
 * else stays: without such a row it is no snapshot of ours, however it is labelled, and people are told. What
 * is listed although its row says that it is removed (Hetzner answered a killed call late) is removed again.
 */
export async function setAgentSnapshotsAside(
  database: Database,
  cloud: CloudView,
): Promise<{ cloud: CloudView; unlisted: UnlistedSnapshot[] }> {
  const listed = cloud.resources.filter((one): one is SnapshotResource => one.kind === 'snapshot');
  const known = await readKnown(database, listed);
  const aside = new Set(listed.filter((one) => known.some((row) => isOf(row, one) && !row.isInPlace)));
  const drilling = await readDrilling(database);
  await removeAgain(
    database,
    known.filter(({ status }) => status === 'removed'),
  );
  return {
    cloud: {
      ...cloud,
      resources: cloud.resources.filter(
        (one) => !aside.has(one as SnapshotResource) && !(one.kind === 'server' && drilling.has(one.name)),
      ),
    },
    unlisted: await findUnlisted(database, cloud, listed),
  };
}

interface Known {
  snapshotId: string;
  hetznerId: string | null;
  agentId: string;
  status: string;
  /** It is in place of the agent's server, which is put back to it: the agent's row names it. */
  isInPlace: boolean;
}

const isOf = (row: Known, { id, keptAs, agentId }: SnapshotResource) =>
  row.hetznerId === id || (row.snapshotId === keptAs && row.agentId === agentId);

async function readKnown(database: Database, listed: readonly SnapshotResource[]): Promise<Known[]> {
  if (listed.length === 0) return [];
  const { rows } = await sql<Known>`
    select snapshot_id::text as "snapshotId", hetzner_id as "hetznerId", agent_id as "agentId", status,
      exists (select from agents a where a.snapshot_id = agent_snapshots.hetzner_id) as "isInPlace"
    from agent_snapshots where hetzner_id = any(${listed.map(({ id }) => id)}::text[])
      or snapshot_id::text = any(${listed.flatMap(({ keptAs }) => keptAs ?? [])}::text[])`.execute(database);
  return rows;
}

/** The servers of restore drills, which the drills themselves remove. */
async function readDrilling(database: Database): Promise<Set<string>> {
  const rows = await database
    .selectFrom('snapshot_drills')
    .select('drill_id')
    .where((row) => row.or([row('status', '=', 'running'), row('removal_due_at', 'is not', null)]))
    .execute();
  return new Set(rows.map((row) => row.drill_id));
}

/** Not what was removed just now: the list may be older than that. */
const LIST_SECONDS = 600;

async function removeAgain(database: Database, removed: readonly Known[]): Promise<void> {
  if (removed.length === 0) return;
  await sql`
    update agent_snapshots set status = 'removing', ended_at = null, run_after = now(), tries = 0
    where status = 'removed' and ended_at < now() - make_interval(secs => ${LIST_SECONDS})
      and snapshot_id = any(${removed.map(({ snapshotId }) => snapshotId)}::uuid[])`.execute(database);
}

async function findUnlisted(
  database: Database,
  cloud: CloudView,
  listed: readonly SnapshotResource[],
): Promise<UnlistedSnapshot[]> {
  const complete = [...cloud.listed].flatMap(([name, { listsAllSnapshots }]) =>
    listsAllSnapshots ? [name] : [],
  );
  const { rows } = await sql<UnlistedSnapshot>`
    select s.snapshot_id::text as "snapshotId", hetzner_id as "hetznerId", agent_id as "agentId", a.project
    from agent_snapshots s join agents a using (agent_id)
    where s.status = 'available' and a.project = any(${complete}::text[])
      and hetzner_id <> all(${listed.map(({ id }) => id)}::text[]) order by made_at`.execute(database);
  return rows;
}

/**
 * Asks Hetzner for each snapshot that was not listed. One that is gone is `lost`, and counts for nothing any
 * more, so that the schedule makes another one.
 * @returns what to tell people, by agent
 */
export async function reportUnlisted(
  { database, budgets, ...clouds }: SweptClouds & { database: Database; budgets: Budgets },
  unlisted: readonly UnlistedSnapshot[],
): Promise<{ agentId: string; text: string }[]> {
  const said: { agentId: string; text: string }[] = [];
  for (const one of unlisted) {
    const { agentId, hetznerId, project } = one;
    if (budgets.of(project).left < 2) continue;
    const name = `Snapshot ${hetznerId} of agent ${agentId}`;
    if ((await hetznerOf(clouds, project).getSnapshot(hetznerId)) !== undefined)
      said.push({ agentId, text: `${name} has lost its labels: put them back` });
    else if (await markLost(database, one, `${name} is no longer at Hetzner`))
      said.push({ agentId, text: `${name} is no longer at Hetzner` });
  }
  return said;
}

async function markLost(
  database: Database,
  { snapshotId, agentId, hetznerId }: UnlistedSnapshot,
  error: string,
): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    const { numUpdatedRows } = await trx
      .updateTable('agent_snapshots')
      .set({ status: 'lost', ended_at: sql`now()`, secrets: null, error })
      .where('snapshot_id', '=', snapshotId)
      .where('status', '=', 'available')
      .executeTakeFirst();
    if (numUpdatedRows === 0n) return false;
    const details = { snapshotId, hetznerId };
    await audit(trx, { actor: 'service', action: 'sweep.agent-snapshot-gone', agentId, details });
    return true;
  });
}
