import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { type Family, PREFIX } from '../../telemetry/families.ts';

/** Metrics that count what waits or is wrong: few rows, each found by an index. */
const COUNTS: [name: string, help: string, value: RawBuilder<number>][] = [
  [
    'operations_due',
    'Operations that wait for a worker',
    sql`(select count(*) from operations where status = 'queued' and run_after <= now())`,
  ],
  [
    'operations_due_oldest_seconds',
    'How long the oldest of them has waited',
    sql`(select coalesce(extract(epoch from now() - min(run_after)), 0) from operations
      where status = 'queued' and run_after <= now())`,
  ],
  [
    'orders_attention',
    'Paid orders without an agent',
    sql`(select count(*) from orders where attention is not null)`,
  ],
  [
    'subscriptions_due',
    'Subscriptions that may have changed and have not been read yet',
    sql`(select count(*) from subscriptions where signals > seen_signals)`,
  ],
  [
    'subscriptions_due_oldest_seconds',
    'How long the oldest of them has waited',
    sql`(select coalesce(extract(epoch from now() - min(signalled_at)), 0) from subscriptions
      where signals > seen_signals)`,
  ],
  [
    'subscriptions_unreadable',
    'Subscriptions that could not be read at Stripe',
    sql`(select count(*) from subscriptions where last_error is not null)`,
  ],
  [
    'findings',
    'Differences between payments and agents that need a person',
    sql`(select count(*) from findings)`,
  ],
  [
    'workers',
    'Workers seen within the last minute',
    sql`(select count(*) from workers where seen_at > now() - interval '1 minute')`,
  ],
  [
    'agents_unhealthy',
    'Agents whose health address does not answer as it should',
    sql`(select count(*) from agents where unhealthy_since is not null)`,
  ],
  [
    'notices_pending',
    'Notices that a receiver has not got yet',
    sql`(select count(*) from notice_deliveries where status = 'pending')`,
  ],
  [
    'notices_pending_oldest_seconds',
    'How long the oldest of them has waited',
    sql`(select coalesce(extract(epoch from now() - min(created_at)), 0) from notice_deliveries
      where status = 'pending')`,
  ],
];

const HOLDS = sql<Record<string, number>>`
  (select coalesce(jsonb_object_agg(reason, count), '{}') from (
    select reason, count(*) as count from holds group by reason) counted)`;

const REASONS = ['payment', 'dispute', 'abuse', 'operator'];

/** Reads all of them in one statement. */
export async function countFamilies(database: Database): Promise<Family[]> {
  const columns = COUNTS.map(([name, , value]) => sql`${value}::float8 as ${sql.ref(name)}`);
  const { rows } = await sql<Record<string, number> & { held: Record<string, number> }>`
    select ${sql.join(columns)}, ${HOLDS} as held`.execute(database);
  const row = rows[0]!;
  const counts = COUNTS.map(([name, help]) => ({
    name: `${PREFIX}${name}`,
    type: 'gauge' as const,
    help,
    samples: [{ labels: {}, value: row[name] ?? 0 }],
  }));
  const holds: Family = {
    name: `${PREFIX}holds`,
    type: 'gauge',
    help: 'What keeps agents from running, by reason',
    samples: REASONS.map((reason) => ({ labels: { reason }, value: row.held[reason] ?? 0 })),
  };
  return [...counts, holds];
}
