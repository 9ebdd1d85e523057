import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { type BreakerRow, RATES, type RateName } from './breakers.ts';
import { computeSpend, type PricedChange } from './spend.ts';

/** How many changes a breaker's period has seen and may see. */
export interface Usage {
  used: number;
  /** Infinity without a limit. */
  allowed: number;
  /** The agents that have a server or a snapshot, including those destroyed within the period. */
  fleet: number;
}

const HOUR_MS = 3_600_000;

/** Counts a breaker's changes in the period that ends at `at`. */
export async function countChanges(
  database: Database,
  breaker: BreakerRow & { name: RateName },
  at: Date,
): Promise<Usage> {
  const { kinds, periodHours } = RATES[breaker.name];
  const since = new Date(at.getTime() - periodHours * HOUR_MS);
  const { count: used } = await database
    .selectFrom('changes')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('kind', 'in', kinds)
    .where('at', '>', since)
    .executeTakeFirstOrThrow();
  if (breaker.limit_percent === null) return { used, allowed: breaker.limit_count ?? Infinity, fleet: 0 };
  const fleet = await countFleet(database, breaker.name === 'destroys' ? since : undefined);
  const share = Math.max(breaker.limit_least ?? 0, Math.floor((fleet * Number(breaker.limit_percent)) / 100));
  return { used, allowed: Math.min(breaker.limit_count ?? Infinity, share), fleet };
}

/** `since`: counts agents too that the service has destroyed, or begun to destroy, since then. */
async function countFleet(database: Database, since?: Date): Promise<number> {
  const { count } = await database
    .selectFrom('agents')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where((agent) =>
      agent.or([
        agent('status', 'not in', ['requested', 'failed', 'destroying', 'destroyed']),
        ...(since === undefined
          ? []
          : [
              agent('agent_id', 'in', ({ selectFrom }) =>
                selectFrom('changes')
                  .select('agent_id')
                  .where('kind', '=', 'destroy')
                  .where('at', '>', since),
              ),
            ]),
      ]),
    )
    .executeTakeFirstOrThrow();
  return count;
}

/** Why the change would exceed the limit; undefined if there is room for it. */
export async function findExcess(
  database: Database,
  breaker: BreakerRow,
  change: PricedChange,
  at: Date,
): Promise<string | undefined> {
  if (!isRate(breaker)) return findOverspend(database, breaker, change);
  const usage = await countChanges(database, breaker, at);
  return usage.used < usage.allowed ? undefined : describeExcess(breaker, usage);
}

export function isRate(breaker: BreakerRow): breaker is BreakerRow & { name: RateName } {
  return breaker.name !== 'spend';
}

function describeExcess(breaker: BreakerRow & { name: RateName }, { used, allowed, fleet }: Usage): string {
  const { verb, within } = RATES[breaker.name];
  const share =
    breaker.limit_percent === null
      ? ''
      : ` (${Number(breaker.limit_percent)} % of ${fleet} agents, at least ${breaker.limit_least}${
          breaker.limit_count === null ? '' : `, at most ${breaker.limit_count}`
        })`;
  return `The service ${verb} at most ${allowed} within ${within}${share}. It has done so ${used} times, and more is due.`;
}

/** Why the servers would cost too much. A change that adds nothing is always fine. */
async function findOverspend(
  database: Database,
  { limit_euros: limit, tripped_at: trippedAt }: BreakerRow,
  change: PricedChange,
): Promise<string | undefined> {
  if (limit === null && trippedAt === null) return undefined;
  const { now, added, unknown } = await computeSpend(database, change);
  if (unknown.length > 0)
    return `What all servers cost is not known: Hetzner has not told the price of ${unknown.join(', ')}.`;
  if (added <= 0 || limit === null || now + added <= Number(limit)) return undefined;
  return `All servers together would cost €${euros(now + added)} an hour; the limit is €${euros(Number(limit))}.`;
}

const euros = (value: number) => value.toFixed(4).replace(/0{1,2}$/, '');

/** Whether the change makes the servers cost more, as far as prices are known. */
export async function addsCost(database: Database, change: PricedChange): Promise<boolean> {
  const { added, unknown } = await computeSpend(database, change);
  return added > 0 || unknown.length > 0;
}

/** The breakers that hold changes now, with what waits for each. */
export async function countWaiting(
  database: Database,
): Promise<Map<string, { waiting: number; approved: number }>> {
  const { rows } = await sql<{ breaker: string; waiting: number; approved: number }>`
    select breaker, count(*) as waiting, count(approved_at) as approved from held_changes group by breaker`.execute(
    database,
  );
  return new Map(rows.map(({ breaker, waiting, approved }) => [breaker, { waiting, approved }]));
}
