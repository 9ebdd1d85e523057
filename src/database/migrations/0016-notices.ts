import { type Kysely, sql } from 'kysely';

/**
 * Outgoing notices: what happened, once for each key, and the delivery of each to every receiver. Business
 * times come from `business_now()`, which a sandbox can move forward.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // How far the sandbox's clock is ahead; never anything but zero in live mode.
  `alter table installation add column clock_offset interval not null default '0'
     check (clock_offset = '0' or mode <> 'live')`,
  `create function business_now() returns timestamptz language sql stable as
     $$ select now() + coalesce((select clock_offset from installation), interval '0') $$`,

  `create table notices (
     notice_id text primary key default 'msg_' || replace(gen_random_uuid()::text, '-', '')
       check (notice_id ~ '^msg_[0-9a-f]{32}$'),
     sequence bigint not null unique generated always as identity,
     type text not null check (type ~ '^[a-z]+\\.[a-z_]{1,40}$'),
     agent_id text references agents on delete cascade,
     key text not null unique check (length(key) between 1 and 500),
     data jsonb not null check (jsonb_typeof(data) = 'object'),
     at timestamptz not null default business_now(),
     created_at timestamptz not null default now(),
     spread boolean not null default false)`,
  `create index notices_of_agent on notices (agent_id, sequence)`,
  `create index notices_to_spread on notices (sequence) where not spread`,

  // \`lane\`: the agent, or the notice itself. Within a lane a receiver gets its notices in order.
  `create table notice_deliveries (
     notice_id text not null references notices on delete cascade,
     receiver text not null check (receiver ~ '^[a-z]+:[\\x21-\\x7e]{1,255}$'),
     address text check (length(address) between 3 and 320),
     sequence bigint not null,
     lane text not null check (lane <> ''),
     status text not null default 'pending' check (status in ('pending', 'delivered', 'failed')),
     attempts integer not null default 0 check (attempts >= 0),
     next_at timestamptz not null default now(),
     lease_until timestamptz,
     answer integer check (answer between 100 and 999),
     error text check (length(error) between 1 and 500),
     delivered_at timestamptz,
     created_at timestamptz not null default now(),
     primary key (notice_id, receiver),
     check ((status = 'delivered') = (delivered_at is not null)),
     check (status = 'pending' or lease_until is null))`,
  `create index notice_deliveries_pending on notice_deliveries (receiver, lane, sequence)
     where status = 'pending'`,
];
