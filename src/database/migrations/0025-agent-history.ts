import { type Kysely, sql } from 'kysely';

/** What became of an agent's status and health over time, and the resources of its stack. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table agent_changes (
     change_id bigint generated always as identity primary key,
     agent_id text not null references agents,
     status text not null,
     health text not null,
     at timestamptz not null default clock_timestamp())`,
  `create index agent_changes_by_agent on agent_changes (agent_id, change_id desc)`,

  // The audit log has the states so far; how healthy an agent was, nobody has recorded.
  `insert into agent_changes (agent_id, status, health, at)
     select agent_id, 'requested', 'unknown', created_at from agents`,
  `insert into agent_changes (agent_id, status, health, at)
     select agent_id, replace(action, 'agent.became-', ''), 'unknown', at from audit_log
     where action like 'agent.became-%' and agent_id is not null order by id`,
  `insert into agent_changes (agent_id, status, health)
     select agent_id, status, health from agents where health <> 'unknown'`,

  // A trigger, because many places change an agent and each of them counts.
  `create function record_agent_change() returns trigger language plpgsql as $$
   begin
     insert into agent_changes (agent_id, status, health) values (new.agent_id, new.status, new.health);
     delete from agent_changes where agent_id = new.agent_id and change_id <= (
       select change_id from agent_changes where agent_id = new.agent_id order by change_id desc offset 500 limit 1);
     return null;
   end $$`,
  `create trigger agents_record_first after insert on agents
     for each row execute function record_agent_change()`,
  `create trigger agents_record_change after update of status, health on agents
     for each row when ((old.status, old.health) is distinct from (new.status, new.health))
     execute function record_agent_change()`,

  // The steps of an operation are read without the lines of its log.
  `create index operation_events_steps on operation_events (operation_id, sequence) where type <> 'log'`,

  `create table stack_resources (
     agent_id text primary key references agents,
     operation_id uuid not null references operations,
     verb text not null check (verb in ('up', 'refresh', 'destroy')),
     resources jsonb not null check (jsonb_typeof(resources) = 'array' and jsonb_array_length(resources) <= 50),
     at timestamptz not null default now())`,
];
