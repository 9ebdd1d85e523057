import { type Kysely, sql } from 'kysely';

/** An order that found no slot is counted for the pool of one Hetzner project, not for those of all. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // Processes of an earlier version name none.
  `alter table pool_misses add column project text not null default 'default'`,
  // Which pool it was is known only where the agent's project has one.
  `update pool_misses m set project = coalesce(
     (select p.project from pools p join agents a on a.project = p.project
       where a.agent_id = m.agent_id and p.location = m.location and p.plan = m.plan),
     (select min(p.project) from pools p where p.location = m.location and p.plan = m.plan), 'default')`,
];
