import { type Kysely, sql } from 'kysely';

/**
 * What is known of the subscriptions behind agents, when each has to be looked at again, and what a person
 * should know about them. All business times come from the service's clock; `retry_at`, `claimed_until`,
 * `signalled_at`, `fetched_at` and `error_since` are Postgres's.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  `create table subscriptions (
     subscription_id text primary key check (length(subscription_id) between 1 and 255),
     agent_id text not null references agents on delete cascade,
     customer_id text check (length(customer_id) between 1 and 255),
     governs boolean not null default true,

     signals bigint not null default 1,
     seen_signals bigint not null default 0 check (seen_signals <= signals),
     signalled_at timestamptz not null default now(),
     next_at timestamptz,
     claim bigint not null default 0,
     claimed_until timestamptz,

     view jsonb,
     fetched_at timestamptz,
     state text check (length(state) between 1 and 60),
     demand text check (length(demand) between 1 and 60),
     unpaid_since timestamptz,
     suspend_at timestamptz,
     hibernate_at timestamptz,
     delete_at timestamptz,
     cancel_at timestamptz,
     would jsonb not null default '[]' check (jsonb_typeof(would) = 'array'),

     last_error text check (length(last_error) between 1 and 2000),
     failures int not null default 0,
     error_since timestamptz,
     retry_at timestamptz not null default now(),
     linked_at timestamptz not null default now(),
     check ((state is null) = (demand is null)),
     check ((last_error is null) = (error_since is null)))`,
  `create index subscriptions_by_agent on subscriptions (agent_id)`,
  `create index subscriptions_by_customer on subscriptions (customer_id)`,
  `create index subscriptions_signalled on subscriptions (retry_at) where signals > seen_signals`,
  `create index subscriptions_next on subscriptions (next_at)`,

  // The end of an operation makes the next step possible: look at the agent's subscriptions again. A trigger,
  // so that no way to end an operation can forget it.
  `create function signal_subscriptions() returns trigger language plpgsql as $$
   begin
     update subscriptions set signals = signals + 1, signalled_at = now() where subscription_id in (
       select subscription_id from subscriptions where agent_id = new.agent_id
       order by subscription_id for no key update);
     return null;
   end $$`,
  `create trigger operations_signal_subscriptions after update of status on operations
     for each row when (new.status in ('succeeded', 'failed', 'cancelled') and old.status <> new.status)
     execute function signal_subscriptions()`,

  // Events that name only a charge: whose subscriptions they are about has to be asked at Stripe.
  `create table unresolved_signals (
     stripe_event_id text primary key references stripe_events on delete cascade,
     charge_id text not null check (length(charge_id) between 1 and 255),
     retry_at timestamptz not null default now(),
     failures int not null default 0)`,

  `create table findings (
     source text not null check (length(source) between 1 and 60),
     key text not null check (length(key) between 1 and 600),
     class text not null check (class in ('order', 'failed', 'unhealthy', 'breaker', 'mismatch', 'configuration')),
     agent_id text references agents on delete cascade,
     subscription_id text check (length(subscription_id) between 1 and 255),
     cause text not null check (length(cause) between 1 and 2000),
     cure text not null check (length(cure) between 1 and 2000),
     since timestamptz not null,
     primary key (source, key))`,

  `create table billing_runs (
     name text primary key check (length(name) between 1 and 60),
     began_at timestamptz not null,
     business_at timestamptz not null)`,

  // When this installation began to follow payments: what was unpaid before is left to a person.
  `alter table installation add column billing_since timestamptz`,

  // A destroy that the service itself wants: it removes nothing before Stripe was asked once more.
  `alter table operations add column asks_again boolean not null default false`,

  `insert into subscriptions (subscription_id, agent_id, customer_id)
     select distinct on (a.subscription_id) a.subscription_id, a.agent_id, o.customer_id
     from agents a left join orders o on o.agent_id = a.agent_id and o.subscription_id = a.subscription_id
     where a.subscription_id is not null and a.status <> 'destroyed'
     order by a.subscription_id, a.created_at desc
     on conflict do nothing`,
];
