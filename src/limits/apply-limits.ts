import type { Limits } from '../config/limits.ts';
import type { PlanServers } from '../config/plans.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { BREAKERS, type BreakerName } from '../database/vocabulary.ts';

/** A share of a small fleet would round to nothing. */
const LEAST_DESTROYS = 1;
const LEAST_SUSPENSIONS = 10;

/**
 * Records the configured limits, so that all processes use the same ones. A tripped breaker stays tripped:
 * a higher limit lets go nothing that already waits.
 * @param planServers the servers of plans that the operator has described: a limit on costs counts with them
 */
export async function applyLimits(
  database: Database,
  limits: Limits,
  planServers: PlanServers = {},
): Promise<void> {
  const { suspensionsPerDay } = limits;
  const rows: Record<BreakerName, BreakerLimits> = {
    creates: { ...NONE, limit_count: limits.createsPerHour },
    destroys: {
      ...NONE,
      limit_count: limits.destroysPerHour,
      limit_percent: limits.destroysPercent,
      limit_least: LEAST_DESTROYS,
    },
    spend: { ...NONE, limit_euros: limits.eurosPerHour ?? null },
    suspensions:
      'count' in suspensionsPerDay
        ? { ...NONE, limit_count: suspensionsPerDay.count }
        : { ...NONE, limit_percent: suspensionsPerDay.percent, limit_least: LEAST_SUSPENSIONS },
  };
  await database.transaction().execute(async (trx) => {
    for (const name of BREAKERS)
      await trx.updateTable('breakers').set(rows[name]).where('name', '=', name).execute();
    await replacePlanServers(trx, planServers);
  });
}

/** The caller has locked the breakers, so that two starts do not write these rows at once. */
async function replacePlanServers(trx: Transaction, planServers: PlanServers): Promise<void> {
  await trx.deleteFrom('plan_servers').execute();
  const rows = Object.entries(planServers).flatMap(([plan, { types }]) =>
    Object.entries(types).flatMap(([location, names]) =>
      [...new Set(names)].map((name) => ({ plan, location, server_type: name })),
    ),
  );
  if (rows.length > 0) await trx.insertInto('plan_servers').values(rows).execute();
}

interface BreakerLimits {
  limit_count: number | null;
  limit_percent: number | null;
  limit_least: number | null;
  limit_euros: number | null;
}

const NONE: BreakerLimits = { limit_count: null, limit_percent: null, limit_least: null, limit_euros: null };
