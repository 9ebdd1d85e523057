import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { WAYS, wayOfOperation } from '../operations/ledger.ts';

/** Upper bounds of the buckets, in seconds: a server that waited takes less than one, a new one minutes. */
const BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800];

export interface LedgerSample {
  labels: Record<string, string>;
  value: number;
  suffix?: string;
}

/** The histogram of the seconds from the order to the running agent, cold and warm. */
export async function runningSeconds(database: Database): Promise<LedgerSample[]> {
  const { rows } = await sql<{ way: string; le: number; count: number; total: number; sum: number }>`
    with runs as (
      select ${wayOfOperation} as way,
        extract(epoch from o.finished_at - least(o.created_at, coalesce(e.received_at, o.created_at)))::float8 as s
      from operations o left join stripe_events e on e.id = o.stripe_event_id
      where o.kind = 'provision' and o.status = 'succeeded')
    select w.way, b.le,
      (select count(*) from runs where runs.way = w.way and s <= b.le) as count,
      (select count(*) from runs where runs.way = w.way) as total,
      (select coalesce(sum(s), 0) from runs where runs.way = w.way) as sum
    from unnest(${[...WAYS]}::text[]) as w (way), unnest(${BUCKETS}::float8[]) as b (le)
    order by w.way, b.le`.execute(database);
  return WAYS.flatMap((way) => {
    const own = rows.filter((row) => row.way === way);
    const total = own[0]?.total ?? 0;
    return [
      ...own.map(({ le, count }) => ({ suffix: '_bucket', labels: { way, le: String(le) }, value: count })),
      { suffix: '_bucket', labels: { way, le: '+Inf' }, value: total },
      { suffix: '_sum', labels: { way }, value: own[0]?.sum ?? 0 },
      { suffix: '_count', labels: { way }, value: total },
    ];
  });
}

/** The mean seconds of each step, over the agents that came up within the last day. */
export async function meanStepSeconds(database: Database): Promise<LedgerSample[]> {
  const { rows } = await sql<{ way: string; step: string; seconds: number }>`
    with recent as (
      select o.operation_id, o.finished_at, ${wayOfOperation} as way from operations o
      where o.kind = 'provision' and o.status = 'succeeded' and o.finished_at > now() - interval '1 day'),
    steps as (
      select r.operation_id, r.way, e.data ->> 'step' as step,
        extract(epoch from least(r.finished_at, lead(e.at, 1, r.finished_at)
          over (partition by r.operation_id order by e.sequence)) - least(e.at, r.finished_at)) as seconds
      from recent r join operation_events e on e.operation_id = r.operation_id and e.type = 'step')
    select way, step,
      (sum(seconds) / (select count(*) from recent where recent.way = steps.way))::float8 as seconds
    from steps where step <> 'finished' group by way, step order by way, step`.execute(database);
  return rows.map(({ way, step, seconds }) => ({ labels: { way, step }, value: seconds }));
}
