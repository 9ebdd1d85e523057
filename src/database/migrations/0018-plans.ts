import { type Kysely, sql } from 'kysely';

/** What plans cost with the servers that the operator has described, and plans that a person has chosen. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // As in BILLING_PLANS; each start of a process that accepts orders writes them, like the limits.
  `create table plan_servers (
     plan text not null,
     location text not null,
     server_type text not null check (length(server_type) between 1 and 40),
     primary key (plan, location, server_type))`,

  // A resize that a person has asked for, and the prices of the subscriptions that it is kept against.
  `alter table agents
     add column plan_chosen_at timestamptz,
     add column plan_chosen_prices text,
     add constraint agents_plan_chosen check (plan_chosen_prices is null or plan_chosen_at is not null)`,

  // Asked for every operation that is claimed, and for each that is withdrawn.
  `create index changes_by_operation on changes (operation_id) where operation_id is not null`,

  // Wakes the workers' loops, which otherwise look every ten seconds. A transaction sends one notification.
  `create function tell_work() returns trigger language plpgsql as $$
   begin
     perform pg_notify('work_waits', '');
     return null;
   end $$`,
  ...Object.entries({
    audit_log: 'insert',
    notices: 'insert',
    notice_deliveries: 'insert or update of next_at, lease_until',
    subscriptions: 'insert or update of signals, next_at, retry_at, claimed_until',
    unresolved_signals: 'insert or update of retry_at',
    held_changes: 'insert or update of approved_at',
    breakers: 'update of tripped_at, approved_at, limit_euros',
    installation: 'update of clock_offset',
  }).map(
    ([table, events]) =>
      `create trigger ${table}_tell_work after ${events} on ${table} for each statement execute function tell_work()`,
  ),
];
