import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { AgentStatus } from './states.ts';

/** The fleet in numbers. */
export interface FleetCounts {
  /** By status; a status without agents is missing. */
  byStatus: ReadonlyMap<AgentStatus, number>;
  /** Agents that do not answer, without those whose end has come. */
  unhealthy: number;
  /** Agents with a hold of any reason. */
  held: number;
  /** All agents that are not destroyed. */
  present: number;
}

export async function countFleet(database: Database): Promise<FleetCounts> {
  const { rows } = await sql<{ status: AgentStatus; count: number; unhealthy: number; held: number }>`
    select status, count(*) as count, count(*) filter (where health = 'unhealthy') as unhealthy,
      (select count(distinct agent_id) from holds) as held
    from agents group by status`.execute(database);
  const sum = (numbers: number[]) => numbers.reduce((total, one) => total + one, 0);
  const present = rows.filter(({ status }) => status !== 'destroyed');
  return {
    byStatus: new Map(rows.map(({ status, count }) => [status, count])),
    unhealthy: sum(present.map(({ unhealthy }) => unhealthy)),
    held: rows[0]?.held ?? 0,
    present: sum(present.map(({ count }) => count)),
  };
}
