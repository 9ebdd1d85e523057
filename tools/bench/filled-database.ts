import { sql } from 'kysely';
import type { Database } from '../../src/database/connect.ts';

export interface FillCounts {
  agents: number;
  operations: number;
  events: number;
}

/** An installation that has sold agents for two years. */
export const LARGE: FillCounts = { agents: 10_000, operations: 100_000, events: 1_000_000 };

/** The newest agent's last operation has so many lines in its log. */
export const LONG_LOG_LINES = 50_000;
/** An order whose buyer looks at its page; as long as Stripe's ids are. */
export const SESSION_OF_BUYER = `cs_test_${'b'.repeat(50)}`;

/**
 * Fills an empty, migrated database with a plausible past: most agents run, a fifth is gone, a few have
 * failed or do not answer; each began with a provision that was paid for, and some operations are queued,
 * under way or have failed today. Triggers and foreign keys are off meanwhile, which needs a superuser's
 * connection. The same counts give the same rows, relative to now.
 */
export async function fillDatabase(database: Database, counts: FillCounts = LARGE): Promise<void> {
  await database.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    for (const statement of statements(counts)) await sql.raw(statement).execute(connection);
    await sql`set session_replication_role = default`.execute(connection);
    // The triggers that keep the counts for the metrics were off.
    await sql`select recount_tallies()`.execute(connection);
  });
  await sql`vacuum (analyze)`.execute(database);
}

const STATUS = `case when i % 300 = 7 then 'failed' when i % 1000 = 13 then 'provisioning' when i % 40 = 3 then 'suspended'
  when i % 90 = 5 then 'hibernated' when i % 30 = 4 then 'stopped' when i % 5 = 0 then 'destroyed' else 'running' end`;
/** Of a failed agent; the numbers in it differ from agent to agent. */
const ERROR = `case when i % 900 = 7 then 'Hetzner answered 422: server limit exceeded (resource_limit_exceeded, ' || i || ')'
  else 'The server did not join the tailnet in time: there is no device agent-' || i end`;

/** Its newest agents were made minutes ago, its oldest two years ago: most of them lately. */
const AGE = (agents: number) =>
  `(interval '730 days' * power((${agents} - i)::float8 / ${agents}, 2) + interval '3 minutes')`;

function statements({ agents, operations, events }: FillCounts): string[] {
  const perAgent = Math.floor(operations / agents);
  const perOperation = Math.floor(events / operations);
  return [
    ...agentStatements(agents),
    ...paymentStatements(agents),
    ...operationStatements({ agents, perAgent, perOperation }),
    `insert into changes (agent_id, kind, cause, at) select 'agent-' || i, 'provision', 'A customer has paid for it.',
       now() - ${AGE(agents)} from generate_series(1, ${agents}) i`,
    `insert into audit_log (at, actor, action, agent_id, operation_id, details, sealed)
     select created_at, 'operator', 'agent.' || kind, agent_id, operation_id, '{}', true from operations`,
    ...historyStatements(agents),
    `insert into server_prices (server_type, location, euros_per_hour, fetched_at)
     select t, l, 0.0069, now() from unnest(array['cx22', 'cx32', 'cx42', 'cx52']) t, unnest(array['nbg1', 'fsn1', 'ash', 'sin', 'hil', 'hel1']) l`,
  ];
}

/** What became of each agent over time, the resources of its stack, and a log of 50,000 lines. */
function historyStatements(agents: number): string[] {
  const newest = `(select operation_id from operations where agent_id = 'agent-${agents - 93}' order by sequence desc limit 1)`;
  return [
    `insert into agent_changes (agent_id, status, health, at)
     select 'agent-' || i, case when n = 0 then 'requested' when n = 1 then 'provisioning' else 'running' end,
       case when n < 2 then 'unknown' when n % 2 = 0 then 'healthy' else 'unhealthy' end,
       now() - ${AGE(agents)} * (1 - n::float8 / 20) from generate_series(1, ${agents}) i, generate_series(0, 19) n`,
    `insert into stack_resources (agent_id, operation_id, verb, resources)
     select distinct on (agent_id) agent_id, operation_id, 'refresh', (select jsonb_agg(jsonb_build_object('name', r,
       'type', 'hcloud:index/server:Server', 'id', '4711', 'isGone', false, 'drift', '[]'::jsonb))
       from unnest(array['server', 'ssh-key', 'tailnet-key', 'configuration']) r) from operations order by agent_id, sequence desc`,
    `insert into operation_events (operation_id, sequence, attempt, type, data)
     select ${newest}, n, 1, 'log', jsonb_build_object('line', case when n % 5000 = 7 then 'error: ' else '' end
       || 'line ' || n || ' ' || repeat('z', 80)) from generate_series(
       (select max(sequence) + 1 from operation_events where operation_id = ${newest}), ${LONG_LOG_LINES}) n`,
    `update orders set session_id = '${SESSION_OF_BUYER}' where agent_id = 'agent-${agents - 93}'`,
  ];
}

function agentStatements(agents: number): string[] {
  return [
    `insert into stripe_events (id, type, livemode, object_id, payload, outcome, created_at, received_at)
     select 'evt_' || i, 'checkout.session.completed', false, 'cs_' || i, jsonb_build_object('filler', repeat('x', 1500)),
       'acted', now() - ${AGE(agents)}, now() - ${AGE(agents)} from generate_series(1, ${agents}) i`,
    `insert into agents (agent_id, user_id, region, location, plan, status, step, health, unhealthy_since, server_id,
       snapshot_id, server_name, ipv4, tailnet_ip, tailnet_name, subscription_id, error, inputs, secrets, created_at)
     select 'agent-' || i, 'user-' || (i * 7919 % ${agents}), (array['eu-central', 'eu-west', 'us-east', 'ap-southeast'])[1 + i % 4],
       (array['nbg1', 'fsn1', 'ash', 'sin'])[1 + i % 4], (array['starter', 'starter', 'pro'])[1 + i % 3], status,
       case status when 'running' then 'running' when 'provisioning' then 'creating_server' end,
       case when status <> 'running' then 'unknown' when i % 700 = 1 then 'unhealthy' else 'healthy' end,
       case when status = 'running' and i % 700 = 1 then now() - interval '1 minute' * (i % 300) end,
       case when has then (40000000 + i)::text end, case status when 'hibernated' then (90000000 + i)::text end, case when has then 'agent-agent-' || i end,
       case when has then '192.0.' || i / 250 || '.' || i % 250 end, case when has then '100.64.' || i / 250 || '.' || i % 250 end,
       case when has then 'agent-' || i || '.tail1234.ts.net' end, 'sub_' || i, case status when 'failed' then ${ERROR} end,
       jsonb_build_object('serverType', (array['cx22', 'cx32'])[1 + i % 2], 'location', 'nbg1', 'filler', repeat('y', 900)),
       case when has then decode(repeat('ab', 700), 'hex') end, now() - ${AGE(agents)}
     from (select i, ${STATUS} as status, ${STATUS} not in ('destroyed', 'failed', 'provisioning', 'hibernated') as has
       from generate_series(1, ${agents}) i) rows`,
  ];
}

function paymentStatements(agents: number): string[] {
  return [
    `insert into orders (session_id, stripe_event_id, agent_id, subscription_id, customer_id, metadata, created_at)
     select 'cs_' || i, 'evt_' || i, 'agent-' || i, 'sub_' || i, 'cus_' || i, '{}', now() - ${AGE(agents)}
     from generate_series(1, ${agents}) i`,
    `insert into subscriptions (subscription_id, agent_id, customer_id, seen_signals, governs, state, demand, view, fetched_at)
     select 'sub_' || i, 'agent-' || i, 'cus_' || i, 1, true, 'paid', 'run', jsonb_build_object('filler', repeat('z', 800)), now()
     from generate_series(1, ${agents}) i`,
    `insert into holds (agent_id, reason, since, by_whom)
     select agent_id, 'payment', now() - interval '3 days', 'service' from agents where status in ('suspended', 'hibernated')`,
  ];
}

/** An agent's first operation is its provision, paid for; the others are spread over its life. */
function operationStatements(of: { agents: number; perAgent: number; perOperation: number }): string[] {
  const { agents, perAgent, perOperation } = of;
  return [
    `insert into operations (agent_id, kind, status, attempt, executor, stripe_event_id, error, failed_step,
       worker_id, lease_until, created_at, started_at, finished_at)
     select 'agent-' || i, 'provision', status, 1, 'local', 'evt_' || i, case status when 'failed' then ${ERROR} end,
       case status when 'failed' then (array['creating_server', 'joining_network'])[1 + i / 7 % 2] end,
       case status when 'active' then 'w-1' end, case status when 'active' then now() + interval '1 minute' end,
       begun + interval '40 milliseconds', begun + interval '90 milliseconds',
       case when status <> 'active' then begun + interval '1 second' * (35 + i * 31 % 47 + case i % 37 when 0 then 160 else 0 end) end
     from (select i, now() - ${AGE(agents)} as begun,
       case when i % 300 = 7 then 'failed' when i % 1000 = 13 then 'active' else 'succeeded' end as status
       from generate_series(1, ${agents}) i) rows`,
    `insert into operations (agent_id, kind, status, attempt, executor, error, failed_step, run_after, created_at, started_at, finished_at)
     select 'agent-' || i, (array['refresh', 'restart', 'reconfigure', 'refresh', 'stop'])[1 + (i + n) % 5], status, 1, 'local',
       case status when 'failed' then 'The agent did not answer within 120 s' end, case status when 'failed' then 'verifying' end,
       begun, begun, case when status <> 'queued' then begun + interval '1 second' end,
       case when status <> 'queued' then begun + interval '9 seconds' end
     from (select i, n, now() - case when n = ${perAgent - 1} and i % 100 = 9 then interval '1 second' * (i % 700)
         else ${AGE(agents)} * (1 - n::float8 / ${perAgent}) end as begun,
       case when n = ${perAgent - 1} and i % 100 = 9 and i % 300 <> 7 then 'queued' when (i + n) % 97 = 0 then 'failed' else 'succeeded' end as status
       from generate_series(1, ${agents}) i, generate_series(1, ${perAgent - 1}) n) rows`,
    ...Array.from({ length: CHUNKS }, (_, chunk) => eventStatement(perOperation, chunk)),
  ];
}

/** So that no statement takes longer than the pool waits for one. */
const CHUNKS = 20;

function eventStatement(perOperation: number, chunk: number): string {
  return `insert into operation_events (operation_id, sequence, attempt, type, data, at)
     select operation_id, n, 1, case when n in (1, ${perOperation}) then 'status' when n % 3 = 0 then 'step' else 'log' end,
       case when n in (1, ${perOperation}) then '{"status": "active", "attempt": 1}'::jsonb when n % 3 = 0 then '{"step": "configuring"}'::jsonb
         else jsonb_build_object('line', 'hcloud:index:Server agent-' || sequence || ' created (' || n || ' s)', 'stream', 'engine') end,
       created_at + interval '1 second' * n
     from operations, generate_series(1, ${perOperation}) n where sequence % ${CHUNKS} = ${chunk}`;
}
