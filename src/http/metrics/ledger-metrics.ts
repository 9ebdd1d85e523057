import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';
import { wayOfOperation } from '../../operations/ledger.ts';
import { STEPS, stepLabel } from '../../operations/steps.ts';
import { type Family, PREFIX } from '../../telemetry/families.ts';

/** The mean seconds of each step, over the agents that came up within the last day. */
export async function meanStepSeconds(database: Database): Promise<Family> {
  const { rows } = await sql<{ way: string; step: string; seconds: number }>`
    with recent as (
      select o.operation_id, o.finished_at, ${wayOfOperation} as way from operations o
      where o.kind = 'provision' and o.status = 'succeeded' and o.finished_at > now() - interval '1 day'),
    steps as (
      select r.operation_id, r.way, case when e.data ->> 'step' = any(${[...STEPS]}::text[]) then e.data ->> 'step'
          else ${stepLabel('')} end as step,
        extract(epoch from least(r.finished_at, lead(e.at, 1, r.finished_at)
          over (partition by r.operation_id order by e.sequence)) - least(e.at, r.finished_at)) as seconds
      from recent r join operation_events e on e.operation_id = r.operation_id and e.type = 'step')
    select way, step,
      (sum(seconds) / (select count(*) from recent where recent.way = steps.way))::float8 as seconds
    from steps where step <> 'finished' group by way, step order by way, step`.execute(database);
  return {
    name: `${PREFIX}running_step_seconds`,
    type: 'gauge',
    help: 'Mean seconds of each step on the way, over the agents of the last day',
    samples: rows.map(({ way, step, seconds }) => ({ labels: { way, step }, value: seconds })),
  };
}
