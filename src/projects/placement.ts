import { type RawBuilder, sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';

/**
 * Chooses among the Hetzner projects. All that it needs is in the database, so that processes with an older
 * configuration place agents alike.
 */

/** After Hetzner has refused a server for a project's limit, other projects come first for so long. */
const FULL_MINUTES = 15;

/** Whether new servers in a location may come into the project `p`, in SQL. */
export const admits = (location: string): RawBuilder<boolean> =>
  sql<boolean>`(p.rank is not null and p.draining_since is null
    and (p.locations is null or ${location}::text = any(p.locations)))`;

/**
 * The agents that have or will have a server in the project `p`, in SQL. A hibernated one counts: its wake
 * needs its place again. A failed one does not: its rollback frees everything.
 */
export const agentsIn: RawBuilder<number> = sql<number>`
  (select count(*) from agents a where a.project = p.name and a.status not in ('destroyed', 'failed'))`;

/** The servers that are or will be in the project `p`, in SQL. */
export const serversIn: RawBuilder<number> = sql<number>`(
  ${agentsIn}
  + (select count(*) from slots s where s.project = p.name and s.status in ('making', 'ready', 'removing')))::int`;

/**
 * What an order finds occupied in the project `p`, in SQL: the agents' places. It takes the place of a server
 * that waits for a customer, or that one's own: the pool gives way. Not counted where nothing depends on it:
 * every order would wait for it.
 */
const taken = sql<number>`case when p.most_servers is not null
  or (select count(*) from hetzner_projects where rank is not null) > 1
  then ${agentsIn} else 0 end`;

/** Whether a worker finds that the token of the project `p` is refused, or is another one's, in SQL. */
export const isAway = sql<boolean>`exists (select 1 from checks c join workers w using (worker_id)
  where w.seen_at > now() - interval '10 seconds' and not c.ok and split_part(c.name, ':', 2) = p.name)`;

/**
 * The project for a new server in a location, as a query of at most one row with its `name`. One that is in
 * reach and that Hetzner has not just called full comes first, then the emptiest: that spreads the requests,
 * which Hetzner limits for each project, and what one lost token or project takes down.
 */
export const chosenProject = (location: string): RawBuilder<{ name: string }> => sql<{ name: string }>`
  select name from (select p.name, p.rank, p.most_servers, ${taken} as taken,
      coalesce(p.full_until > now(), false) or ${isAway} as "isLast"
    from hetzner_projects p where ${admits(location)}) fitting
  where most_servers is null or taken < most_servers
  order by "isLast", taken, rank limit 1`;

/**
 * Orders for a location that arrive at once are counted one after the other if they may come into a project
 * with a limit of servers.
 */
export const lockPlacement = (database: Database, location: string): Promise<void> =>
  lockWhere(database, admits(location));

async function lockWhere(database: Database, which: RawBuilder<boolean>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('placement'), 0) from hetzner_projects p
    where ${which} and p.most_servers is not null limit 1`.execute(database);
}

/** Says why no project takes a new server in the location. */
export async function whyNowhere(database: Database, location: string): Promise<string> {
  const { rows } = await sql<{ name: string; isThere: boolean; drains: boolean; most: number | null }>`
    select p.name, p.locations is null or ${location}::text = any(p.locations) as "isThere",
      p.draining_since is not null as drains, p.most_servers as most
    from hetzner_projects p where p.rank is not null order by p.rank`.execute(database);
  const there = rows.filter(({ isThere }) => isThere);
  if (there.length === 0) return `No Hetzner project is for agents in ${location}`;
  const reasons = there.map(({ name, drains, most }) =>
    drains ? `${name} is drained` : `${name} has the ${most} servers that it may have`,
  );
  return `No Hetzner project takes a new agent in ${location}: ${reasons.join(', ')}`;
}

/** Hetzner has refused the project a server for its limit. */
export async function markFull(database: Database, project: string): Promise<void> {
  await sql`update hetzner_projects set full_until = now() + make_interval(mins => ${FULL_MINUTES})
    where name = ${project}`.execute(database);
}

/** The same for the project that an agent is in, whoever found it full. */
export async function markAgentsProjectFull(trx: Transaction, agentId: string): Promise<void> {
  const agent = await trx
    .selectFrom('agents')
    .select('project')
    .where('agent_id', '=', agentId)
    .executeTakeFirst();
  if (agent !== undefined) await markFull(trx, agent.project);
}

/**
 * The project to which an agent in a full one can move; undefined if its own is not full, or no other has
 * room. Nobody holds a place there until the agent's row names it.
 */
export async function findRoomElsewhere(
  database: Database,
  { project, location }: { project: string; location: string },
): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`
    select p.name from (${chosenProject(location)}) chosen join hetzner_projects p using (name)
    where p.name <> ${project} and not coalesce(p.full_until > now(), false) and not ${isAway}
      and exists (select 1 from hetzner_projects own where own.name = ${project} and own.full_until > now())`.execute(
    database,
  );
  return rows[0]?.name;
}

/** Whether an agent in the location may still move to the project. Others wait until the transaction ends. */
export async function mayMoveTo(
  trx: Transaction,
  { project, location }: { project: string; location: string },
): Promise<boolean> {
  await lockPlacement(trx, location);
  const { rows } =
    await sql`select 1 from hetzner_projects p where p.name = ${project} and ${admits(location)}
    and (p.most_servers is null or ${taken} < p.most_servers)`.execute(trx);
  return rows.length > 0;
}

/** How many more waiting servers the project may have; undefined: as many as Hetzner allows. */
export async function roomInProject(trx: Transaction, project: string): Promise<number | undefined> {
  await lockWhere(trx, sql<boolean>`p.name = ${project}`);
  const { rows } = await sql<{ room: number | null }>`
    select case when p.most_servers is not null then greatest(0, p.most_servers - ${serversIn}) end as room
    from hetzner_projects p where p.name = ${project}`.execute(trx);
  return rows[0]?.room ?? undefined;
}
