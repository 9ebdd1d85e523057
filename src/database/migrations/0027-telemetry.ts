import { type Kysely, sql } from 'kysely';

/** What traces are made of, and counts that are kept, so that metrics read no whole table. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...SPANS, ...TALLIES, ...BACKFILL]) await sql.raw(statement).execute(db);
}

const SPANS = [
  // What happened within an attempt, or around an operation, in more detail than its steps.
  `create table operation_spans (
     id bigint generated always as identity primary key,
     operation_id uuid not null references operations on delete cascade,
     -- 0: outside of any attempt.
     attempt int not null check (attempt >= 0),
     kind text not null check (kind in ('webhook', 'callback', 'run', 'resource', 'play', 'task')),
     name text not null check (length(name) between 1 and 200),
     started_at timestamptz not null,
     ended_at timestamptz not null check (ended_at >= started_at),
     outcome text not null check (outcome in ('success', 'failure', 'skip')),
     attributes jsonb not null default '{}')`,
  `create index operation_spans_of on operation_spans (operation_id, id)`,
  `create index operation_spans_ended on operation_spans (ended_at)`,

  // Operations whose trace was handed to a collector, as they had ended then.
  `create table exported_traces (
     operation_id uuid primary key references operations on delete cascade,
     finished_at timestamptz not null,
     -- Until then another process does not try; null once it was handed over.
     claimed_until timestamptz)`,
  `create index exported_traces_finished on exported_traces (finished_at)`,
  `create index operations_finished on operations (finished_at) where finished_at is not null`,
  `create index subscriptions_unreadable on subscriptions (subscription_id) where last_error is not null`,
];

/** As in src/operations/tallies.ts, where a test compares them. */
const SHORT = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800];
const LONG = [10, 20, 30, 60, 90, 120, 180, 300, 600, 1200, 1800];

/**
 * The smallest bound that is not below the seconds, as Prometheus writes it. Written out: a recount evaluates
 * it for every operation, and a function with a query in it takes a hundred times as long.
 */
const boundOf = (seconds: string, bounds: readonly number[]) =>
  `case ${bounds.map((bound) => `when ${seconds} <= ${bound} then '${bound}'`).join(' ')} else '+Inf' end`;

const WAY = (operation: string) => `case when exists (
  select 1 from slots s where s.served_by = ${operation}.operation_id) then 'warm' else 'cold' end`;
const ORDERED_AT = (operation: string) => `least(${operation}.created_at,
  coalesce((select received_at from stripe_events e where e.id = ${operation}.stripe_event_id), ${operation}.created_at))`;

const TALLIES = [
  // Changes are rows of their own: two transactions never wait for each other's count.
  `create table tally_changes (
     id bigint generated always as identity primary key,
     tally text not null,
     labels jsonb not null,
     count int not null,
     seconds float8 not null default 0)`,
  `create table tallies (
     tally text not null,
     labels jsonb not null,
     count bigint not null,
     seconds float8 not null,
     primary key (tally, labels))`,

  `create function tally_agent() returns trigger language plpgsql as $$
   begin
     if tg_op = 'UPDATE' and new.status = old.status then return null; end if;
     if tg_op <> 'INSERT' then
       insert into tally_changes (tally, labels, count)
         values ('agents', jsonb_build_object('status', old.status), -1);
     end if;
     if tg_op <> 'DELETE' then
       insert into tally_changes (tally, labels, count)
         values ('agents', jsonb_build_object('status', new.status), 1);
     end if;
     return null;
   end $$`,
  `create trigger agents_tallied after insert or delete or update of status on agents
     for each row execute function tally_agent()`,

  `create function tally_stripe_event() returns trigger language plpgsql as $$
   begin
     if tg_op = 'UPDATE' then
       if new.outcome = old.outcome then return null; end if;
       insert into tally_changes (tally, labels, count)
         values ('stripe_events', jsonb_build_object('outcome', old.outcome), -1);
     end if;
     insert into tally_changes (tally, labels, count)
       values ('stripe_events', jsonb_build_object('outcome', new.outcome), 1);
     return null;
   end $$`,
  `create trigger stripe_events_tallied after insert or update of outcome on stripe_events
     for each row execute function tally_stripe_event()`,

  `create function tally_operation() returns trigger language plpgsql as $$
   declare took float8; worked float8; waited float8; running float8;
   begin
     if tg_op = 'UPDATE' and new.status = old.status then return null; end if;
     if tg_op <> 'INSERT' then
       insert into tally_changes (tally, labels, count)
         values ('operations', jsonb_build_object('kind', old.kind, 'status', old.status), -1);
     end if;
     if tg_op = 'DELETE' then return null; end if;
     insert into tally_changes (tally, labels, count)
       values ('operations', jsonb_build_object('kind', new.kind, 'status', new.status), 1);
     if tg_op = 'INSERT' then return null; end if;
     if new.status = 'active' then
       waited := greatest(0, extract(epoch from clock_timestamp() - greatest(old.run_after, old.created_at)));
       insert into tally_changes (tally, labels, count, seconds) values ('queue_wait',
         jsonb_build_object('kind', new.kind, 'le', ${boundOf('waited', SHORT)}), 1, waited);
     elsif new.finished_at is not null then
       took := greatest(0, extract(epoch from new.finished_at - new.created_at));
       insert into tally_changes (tally, labels, count, seconds) values ('operation',
         jsonb_build_object('kind', new.kind, 'outcome', new.status, 'le', ${boundOf('took', SHORT)}), 1, took);
       if new.started_at is not null then
         worked := greatest(0, extract(epoch from new.finished_at - new.started_at));
         insert into tally_changes (tally, labels, count, seconds) values ('executing',
           jsonb_build_object('kind', new.kind, 'outcome', new.status, 'le', ${boundOf('worked', SHORT)}), 1, worked);
       end if;
       if new.kind = 'provision' and new.status = 'succeeded' then
         running := greatest(0, extract(epoch from new.finished_at - ${ORDERED_AT('new')}));
         insert into tally_changes (tally, labels, count, seconds) values
           ('provision', jsonb_build_object('le', ${boundOf('took', LONG)}), 1, took),
           ('running', jsonb_build_object('way', ${WAY('new')}, 'le', ${boundOf('running', SHORT)}), 1, running);
       end if;
     end if;
     return null;
   end $$`,
  `create trigger operations_tallied after insert or delete or update of status on operations
     for each row execute function tally_operation()`,
];

/**
 * Counts what is there already, and again where rows came in without triggers. How long operations waited in
 * the queue is not known afterwards.
 */
const RECOUNT = [
  `insert into tallies select 'agents', jsonb_build_object('status', status), count(*), 0
     from agents group by status`,
  `insert into tallies select 'stripe_events', jsonb_build_object('outcome', outcome), count(*), 0
     from stripe_events group by outcome`,
  `insert into tallies select 'operations', jsonb_build_object('kind', kind, 'status', status), count(*), 0
     from operations group by kind, status`,
  `insert into tallies select 'operation', jsonb_build_object('kind', kind, 'outcome', status, 'le', le),
       count(*), sum(took)
     from (select kind, status, took, ${boundOf('took', SHORT)} as le
       from (select kind, status, extract(epoch from finished_at - created_at)::float8 as took
         from operations where finished_at is not null) ended) bounded
     group by kind, status, le`,
  `insert into tallies select 'provision', jsonb_build_object('le', le), count(*), sum(took)
     from (select took, ${boundOf('took', LONG)} as le
       from (select extract(epoch from finished_at - created_at)::float8 as took
         from operations where kind = 'provision' and status = 'succeeded') ended) bounded
     group by le`,
  `insert into tallies select 'running', jsonb_build_object('way', way, 'le', le), count(*), sum(took)
     from (select way, took, ${boundOf('took', SHORT)} as le
       from (select ${WAY('o')} as way, extract(epoch from o.finished_at - ${ORDERED_AT('o')})::float8 as took
         from operations o where o.kind = 'provision' and o.status = 'succeeded') ended) bounded
     group by way, le`,
  `insert into tallies select 'executing', jsonb_build_object('kind', kind, 'outcome', status, 'le', le),
       count(*), sum(took)
     from (select kind, status, took, ${boundOf('took', SHORT)} as le
       from (select kind, status, extract(epoch from finished_at - started_at)::float8 as took
         from operations where finished_at is not null and started_at is not null) ended) bounded
     group by kind, status, le`,
];

const BACKFILL = [
  `create function recount_tallies() returns void language plpgsql as $$
   begin
     lock table agents, operations, stripe_events in share mode;
     delete from tally_changes where tally <> 'queue_wait';
     delete from tallies where tally <> 'queue_wait';
     ${RECOUNT.map((statement) => `${statement};`).join('\n     ')}
   end $$`,
  `select recount_tallies()`,
];
