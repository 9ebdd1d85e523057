import { sql } from 'kysely';
import type { HetznerProjectSettings } from '../config/hetzner-projects.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { NotFoundError } from '../errors.ts';
import { serversIn } from './placement.ts';

/**
 * Records the configured projects, so that all processes place agents alike. Drained ones stay drained.
 * @throws Error if one is missing in which something is (`refuseLostProjects`)
 */
export async function applyProjects(
  database: Database,
  projects: readonly Omit<HetznerProjectSettings, 'token'>[],
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    // Two starts must not write these rows at once.
    await sql`select pg_advisory_xact_lock(hashtext('projects'), 0)`.execute(trx);
    await trx.updateTable('hetzner_projects').set({ rank: null }).execute();
    for (const [rank, { name, locations, mostServers }] of projects.entries()) {
      const columns = {
        rank,
        locations: locations === undefined ? null : [...locations],
        most_servers: mostServers ?? null,
      };
      await trx
        .insertInto('hetzner_projects')
        .values({ name, ...columns })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(columns))
        .execute();
    }
    // Something may have come into one since the start was checked.
    await refuseLostProjects(trx, projects);
  });
}

/**
 * Refuses a configuration that lacks a project in which something of this installation is.
 * @throws Error that names it
 */
export async function refuseLostProjects(
  database: Database,
  projects: readonly Pick<HetznerProjectSettings, 'name'>[],
): Promise<void> {
  const { rows } = await sql<{ project: string; agents: number }>`
    select project, count(*) filter (where what = 'agent')::int as agents from (
      select project, 'agent' as what from agents where status <> 'destroyed'
      union all select project, 'slot' from slots where status in ('making', 'ready', 'claimed', 'removing')
      union all select project, 'image' from images where status <> 'removed'
      union all select project, 'snapshot' from agent_snapshots join agents using (agent_id)
        where agent_snapshots.status in ('making', 'available', 'removing')
      union all select project, 'drill' from snapshot_drills join agents using (agent_id)
        where snapshot_drills.status = 'running' or removal_due_at is not null) present
    where project <> all(${projects.map(({ name }) => name)}::text[])
    group by project order by project limit 1`.execute(database);
  const [lost] = rows;
  if (lost === undefined) return;
  const what =
    lost.agents > 0 ? `${lost.agents} agents are` : 'Servers, images, snapshots or restore drills are';
  throw new Error(
    `${what} in the Hetzner project ${lost.project}, which HCLOUD_PROJECTS does not name. Name it there until it is empty: ` +
      `npm run agents -- projects drain ${lost.project}`,
  );
}

/** A project as people see it. */
export interface ProjectState {
  name: string;
  /** False: it is not configured any more. */
  configured: boolean;
  /** Null: everywhere. */
  locations: string[] | null;
  mostServers: number | null;
  /** Since when nothing new comes into it, and by whom. */
  drainingSince: Date | null;
  drainedBy: string | null;
  /** Until when others come first, because Hetzner has refused it a server. */
  fullUntil: Date | null;
  /** Agents that are not destroyed. */
  agents: number;
  /** Servers that wait for customers, or are being removed. */
  slots: number;
  images: number;
  /** Of agents' disks; those of destroyed agents too. */
  snapshots: number;
  /** Restore drills that may have a server: under way, or ended while it could not be removed. */
  drills: number;
  /** What counts towards `mostServers`. */
  servers: number;
}

/** Returns the projects that are configured, or still hold something, in the operator's order. */
export async function listProjects(database: Database): Promise<ProjectState[]> {
  const { rows } = await sql<ProjectState>`
    select * from (
      select p.name, p.rank is not null as configured, p.locations, p.most_servers as "mostServers",
        p.draining_since as "drainingSince", p.drained_by as "drainedBy",
        case when p.full_until > now() then p.full_until end as "fullUntil",
        (select count(*) from agents a where a.project = p.name and a.status <> 'destroyed')::int as agents,
        (select count(*) from slots s where s.project = p.name
          and s.status in ('making', 'ready', 'removing'))::int as slots,
        (select count(*) from images i where i.project = p.name and i.status <> 'removed')::int as images,
        (select count(*) from agent_snapshots s join agents a using (agent_id) where a.project = p.name
          and s.status in ('making', 'available', 'removing'))::int as snapshots,
        (select count(*) from snapshot_drills d join agents a using (agent_id) where a.project = p.name
          and (d.status = 'running' or d.removal_due_at is not null))::int as drills,
        ${serversIn} as servers
      from hetzner_projects p order by p.rank nulls last, p.name) present
    where configured or agents + slots + images + snapshots + drills > 0`.execute(database);
  return rows;
}

/**
 * Begins or ends the draining of a project: no agent and no slot comes into it any more. Its agents live on,
 * and the keeper of the pool removes its slots. An order that is placed at this moment may still come into
 * it. @returns whether that is a change
 * @throws NotFoundError
 */
export async function setDraining(
  trx: Transaction,
  name: string,
  { drains, by }: { drains: boolean; by: string },
): Promise<boolean> {
  const row = await trx
    .selectFrom('hetzner_projects')
    .select('draining_since')
    .where('name', '=', name)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw new NotFoundError(`There is no Hetzner project ${name}`);
  if ((row.draining_since !== null) === drains) return false;
  await trx
    .updateTable('hetzner_projects')
    .set(drains ? { draining_since: sql`now()`, drained_by: by } : { draining_since: null, drained_by: null })
    .where('name', '=', name)
    .execute();
  return true;
}

/** Where new servers of a pool may be made. */
export interface PoolHome {
  name: string;
  locations: string[] | null;
}

/** Returns the projects into which something new may come, in the operator's order. */
export async function listOpenProjects(database: Database): Promise<PoolHome[]> {
  return database
    .selectFrom('hetzner_projects')
    .select(['name', 'locations'])
    .where('rank', 'is not', null)
    .where('draining_since', 'is', null)
    .orderBy('rank')
    .execute();
}
