import { type RawBuilder, sql } from 'kysely';
import { z } from 'zod';
import { AGENT_STATUSES } from '../agents/states.ts';
import type { Database } from '../database/connect.ts';
import { countImages } from '../images/listing.ts';
import { listBreakers } from '../limits/listing.ts';
import { businessNow } from './deps.ts';
import { endpoint } from './endpoint.ts';
import { meanStepSeconds, runningSeconds } from './ledger-metrics.ts';
import { poolMetrics } from './pool-metrics.ts';

/** Upper bounds of the histogram's buckets, in seconds. */
const BUCKETS = [10, 20, 30, 60, 90, 120, 180, 300, 600, 1200, 1800];

export const metrics = endpoint({
  method: 'get',
  path: '/metrics',
  summary: 'Counts and durations, computed from the rows, in Prometheus’ text format',
  access: 'operator',
  answers: {
    200: { description: 'Metrics', contentType: 'text/plain; version=0.0.4', schema: z.string() },
  },
  handle: async ({ response, deps }) => {
    const { database, missingKeys = [] } = deps;
    const metrics = await Promise.all([
      agents(database),
      operations(database),
      queueDepth(database),
      stripeEvents(database),
      attention(database),
      payments(database),
      workers(database),
      provisionSeconds(database),
      ledger(database),
      pools(database),
      images(database),
      cloudsWatched(missingKeys),
      breakers(database, businessNow(deps)),
    ]);
    response.set('content-type', 'text/plain; version=0.0.4; charset=utf-8').send(metrics.join(''));
  },
});

interface Sample {
  labels: Record<string, string>;
  value: number;
  /** Appended to the metric's name, as histograms require. */
  suffix?: string;
}

const PREFIX = 'agent_stacks_';

/** Formats one metric, and repeats it under its original name without prefix. */
export function format(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const deprecated = `Deprecated, removed in the next release: use ${PREFIX}${name}. ${help}`;
  return formatNamed(`${PREFIX}${name}`, type, help, samples) + formatNamed(name, type, deprecated, samples);
}

function formatNamed(name: string, type: string, help: string, samples: readonly Sample[]): string {
  const lines = samples.map(({ labels, value, suffix = '' }) => {
    const pairs = Object.entries(labels).map(([key, text]) => `${key}=${JSON.stringify(text)}`);
    return `${name}${suffix}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}\n`;
  });
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join('')}`;
}

async function queryRows<T>(database: Database, query: RawBuilder<T>): Promise<T[]> {
  return (await query.execute(database)).rows;
}

async function agents(database: Database): Promise<string> {
  const rows = await queryRows(
    database,
    sql<{ status: string; count: number }>`select status, count(*) from agents group by status`,
  );
  const samples = AGENT_STATUSES.map((status) => ({
    labels: { status },
    value: rows.find((row) => row.status === status)?.count ?? 0,
  }));
  return format('agents', 'gauge', 'Agents by status', samples);
}

async function operations(database: Database): Promise<string> {
  const rows = await queryRows(
    database,
    sql<{ kind: string; status: string; count: number }>`
      select kind, status, count(*) from operations group by kind, status order by kind, status`,
  );
  const samples = rows.map(({ count, ...labels }) => ({ labels, value: count }));
  return format('operations', 'gauge', 'Operations by kind and status', samples);
}

async function queueDepth(database: Database): Promise<string> {
  const [row] = await queryRows(
    database,
    sql<{ depth: number; age: number }>`
      select count(*) as depth, coalesce(extract(epoch from now() - min(run_after)), 0)::float8 as age
      from operations where status = 'queued' and run_after <= now()`,
  );
  const depth = format('operations_due', 'gauge', 'Operations that wait for a worker', [
    { labels: {}, value: row?.depth ?? 0 },
  ]);
  const age = format('operations_due_oldest_seconds', 'gauge', 'How long the oldest of them has waited', [
    { labels: {}, value: row?.age ?? 0 },
  ]);
  return depth + age;
}

async function images(database: Database): Promise<string> {
  const counted = await countImages(database);
  const samples = (value: (one: (typeof counted)[number]) => number) =>
    counted.map((one) => ({ labels: { status: one.status }, value: value(one) }));
  return (
    format(
      'images',
      'gauge',
      'Images that servers are made from, by status',
      samples((one) => one.count),
    ) +
    format(
      'image_gigabytes',
      'gauge',
      'What is billed for images',
      samples((one) => one.sizeGb),
    )
  );
}

async function stripeEvents(database: Database): Promise<string> {
  const rows = await queryRows(
    database,
    sql<{ outcome: string; count: number }>`
      select outcome, count(*) from stripe_events group by outcome order by outcome`,
  );
  const samples = rows.map(({ count, ...labels }) => ({ labels, value: count }));
  return format('stripe_events_total', 'counter', 'Stripe events received, by outcome', samples);
}

async function attention(database: Database): Promise<string> {
  const [row] = await queryRows(
    database,
    sql<{ count: number }>`select count(*) from orders where attention is not null`,
  );
  return format('orders_attention', 'gauge', 'Paid orders without an agent', [
    { labels: {}, value: row?.count ?? 0 },
  ]);
}

async function payments(database: Database): Promise<string> {
  const [row] = await queryRows(
    database,
    sql<{ due: number; age: number; failing: number; findings: number }>`
      select count(*) filter (where signals > seen_signals) as due,
        coalesce(extract(epoch from now() - min(signalled_at) filter (where signals > seen_signals)), 0)::float8 as age,
        count(*) filter (where last_error is not null) as failing,
        (select count(*) from findings) as findings from subscriptions`,
  );
  const gauge = (name: string, help: string, value = 0) =>
    format(name, 'gauge', help, [{ labels: {}, value }]);
  return [
    gauge('subscriptions_due', 'Subscriptions that may have changed and have not been read yet', row?.due),
    gauge('subscriptions_due_oldest_seconds', 'How long the oldest of them has waited', row?.age),
    gauge('subscriptions_unreadable', 'Subscriptions that could not be read at Stripe', row?.failing),
    gauge('findings', 'Differences between payments and agents that need a person', row?.findings),
  ].join('');
}

async function workers(database: Database): Promise<string> {
  const [row] = await queryRows(
    database,
    sql<{ count: number }>`select count(*) from workers where seen_at > now() - interval '1 minute'`,
  );
  return format('workers', 'gauge', 'Workers seen within the last minute', [
    { labels: {}, value: row?.count ?? 0 },
  ]);
}

function cloudsWatched(missingKeys: readonly string[]): string {
  const help = 'Whether this service has the keys to sweep the clouds and to check agents';
  return format('clouds_watched', 'gauge', help, [{ labels: {}, value: missingKeys.length === 0 ? 1 : 0 }]);
}

async function provisionSeconds(database: Database): Promise<string> {
  const rows = await queryRows(
    database,
    sql<{ le: number; count: number; total: number; sum: number }>`
      with seconds as (
        select extract(epoch from finished_at - created_at)::float8 as s
        from operations where kind = 'provision' and status = 'succeeded')
      select b.le, (select count(*) from seconds where s <= b.le) as count,
        (select count(*) from seconds) as total, (select coalesce(sum(s), 0) from seconds) as sum
      from unnest(${BUCKETS}::int[]) as b (le) order by b.le`,
  );
  const total = rows[0]?.total ?? 0;
  return format('provision_seconds', 'histogram', 'From the order to the running agent', [
    ...rows.map(({ le, count }) => ({ suffix: '_bucket', labels: { le: String(le) }, value: count })),
    { suffix: '_bucket', labels: { le: '+Inf' }, value: total },
    { suffix: '_sum', labels: {}, value: rows[0]?.sum ?? 0 },
    { suffix: '_count', labels: {}, value: total },
  ]);
}

async function ledger(database: Database): Promise<string> {
  const [running, steps] = await Promise.all([runningSeconds(database), meanStepSeconds(database)]);
  return (
    formatNamed(
      `${PREFIX}running_seconds`,
      'histogram',
      'From the payment to the running agent, by how it got its server',
      running,
    ) +
    formatNamed(
      `${PREFIX}running_step_seconds`,
      'gauge',
      'Mean seconds of each step on the way, over the agents of the last day',
      steps,
    )
  );
}

async function pools(database: Database): Promise<string> {
  const metrics = await poolMetrics(database);
  return metrics
    .map(({ name, type, help, samples }) => formatNamed(`${PREFIX}${name}`, type, help, samples))
    .join('');
}

async function breakers(database: Database, at: Date): Promise<string> {
  const states = await listBreakers(database, at);
  const gauge = (name: string, help: string, value: (state: (typeof states)[number]) => number | null) =>
    format(
      name,
      'gauge',
      help,
      states.flatMap((state) => {
        const sample = value(state);
        return sample === null ? [] : [{ labels: { breaker: state.name }, value: sample }];
      }),
    );
  return (
    gauge('breaker_tripped', 'Whether a breaker holds changes back', ({ trippedAt }) => (trippedAt ? 1 : 0)) +
    gauge('breaker_waiting', 'Changes that wait for a breaker', ({ waiting }) => waiting) +
    gauge('breaker_used', 'Changes within its period; spend: euros an hour', ({ used }) => used) +
    gauge('breaker_allowed', 'The limit of a breaker that has one', ({ allowed }) => allowed)
  );
}
