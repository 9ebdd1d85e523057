import { type Kysely, sql } from 'kysely';

/** Several Hetzner projects, among which agents are placed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table hetzner_projects (
     name text primary key check (name ~ '^[a-z0-9](-?[a-z0-9])*$' and length(name) <= 40),
     -- Its place in the configuration; null: it is not configured any more.
     rank int check (rank >= 0),
     -- Where its agents may be; null: everywhere.
     locations text[] check (cardinality(locations) between 1 and 100),
     most_servers int check (most_servers >= 0),
     -- Nothing new comes into it since then.
     draining_since timestamptz,
     drained_by text check (length(drained_by) between 1 and 300),
     -- Hetzner has refused it a server for its limit: until then others are tried first.
     full_until timestamptz,
     check ((draining_since is null) = (drained_by is null)))`,
  `insert into hetzner_projects (name, rank) values ('default', 0)`,
  // What the sweep has found in a project is forgotten only once it is listed again.
  `alter table findings add column project text`,
  // Agents of projects are counted at each order where there are several.
  `create index agents_in_project on agents (project) where status not in ('destroyed', 'failed')`,
  // The pool looks every second what is in a project.
  `create index slots_in_project on slots (project) where status in ('making', 'ready', 'removing')`,
  // `hetzner:us` is the check of a project.
  `alter table checks drop constraint checks_name_check,
     add constraint checks_name_check check (name ~ '^[a-z][a-z-]{0,39}(:[a-z0-9](-?[a-z0-9]){0,39})?$')`,
];
