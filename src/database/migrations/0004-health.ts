import { type Kysely, sql } from 'kysely';

/** Since when an agent has been unhealthy, and when each agent's next check is due. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table agents add column unhealthy_since timestamptz`,
  `update agents set unhealthy_since = updated_at where health = 'unhealthy'`,

  // A trigger, so that code that writes the health cannot forget the time.
  `create function keep_unhealthy_since() returns trigger language plpgsql as $$
   begin
     if new.health = 'unhealthy' then
       new.unhealthy_since := coalesce(new.unhealthy_since, now());
     else
       new.unhealthy_since := null;
     end if;
     return new;
   end $$`,
  `create trigger agents_unhealthy_since before insert or update of health, unhealthy_since on agents
     for each row execute function keep_unhealthy_since()`,
  `alter table agents add check ((health = 'unhealthy') = (unhealthy_since is not null))`,
  `create index agents_running on agents (agent_id) where status = 'running'`,

  // A separate table, because every check writes to it and an agent's row is wide.
  `create table health_checks (
     agent_id text primary key references agents on delete cascade,
     due_at timestamptz not null,
     silent_since timestamptz) with (fillfactor = 50)`,
];
