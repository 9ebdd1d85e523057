import { type Kysely, sql } from 'kysely';

/**
 * What live mode checks, so that problems show before an order fails: the vendors' ids of the accounts, the
 * passphrase, and each worker's configuration, for which operations wait.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `alter table installation
     drop constraint installation_mode_check,
     add constraint installation_mode_check check (mode in ('sandbox', 'live', 'rehearsal')),
     add column identities jsonb not null default '{}' check (jsonb_typeof(identities) = 'object'),
     add column canary bytea check (length(canary) between 30 and 1000)`,

  // A trailing slash does not make it another account.
  `update installation set accounts = (
     select coalesce(jsonb_object_agg(key, regexp_replace(value, '/+( |$)', '\\1')), '{}') from jsonb_each_text(accounts))`,

  // Why no worker claims a queued operation; the last try's failure stays in \`error\`.
  `alter table operations add column waits_for text
     check (waits_for is null or (status = 'queued' and length(waits_for) between 1 and 4000))`,
  // A trigger, so that code that claims, cancels or dispatches an operation cannot forget to clear it.
  `create function forget_wait() returns trigger language plpgsql as $$
   begin
     new.waits_for := null;
     return new;
   end $$`,
  `create trigger operations_forget_wait before update on operations
     for each row when (new.status <> 'queued' and new.waits_for is not null) execute function forget_wait()`,
  `create index operations_waiting on operations (kind) where waits_for is not null`,

  `create table checks (
     worker_id text not null references workers on delete cascade,
     name text not null check (name ~ '^[a-z][a-z-]{0,39}$'),
     ok boolean not null,
     blocks boolean not null,
     detail text not null check (length(detail) between 1 and 2000),
     cure text check (length(cure) between 1 and 2000),
     checked_at timestamptz not null default now(),
     primary key (worker_id, name),
     check (ok or cure is not null))`,

  // Keys sealed with a wrong passphrase would prevent a rolled-back agent from ever being provisioned again.
  `update agents a set secrets = null
     where status = 'failed' and server_id is null and exists (
       select 1 from operations o where o.agent_id = a.agent_id and o.kind = 'rollback' and o.status = 'succeeded'
         and not exists (select 1 from operations later where later.agent_id = a.agent_id
           and later.sequence > o.sequence))`,
];
