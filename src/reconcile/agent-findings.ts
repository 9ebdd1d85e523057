import type { Database } from '../database/connect.ts';

/** Something about one agent that a person should know. */
export interface Finding {
  cause: string;
  cure: string;
  since: Date;
}

const MOST_SHOWN = 20;

/** Returns what the sweep, the billing and the checks have found about an agent, the newest first. */
export function listFindingsOf(database: Database, agentId: string): Promise<Finding[]> {
  return database
    .selectFrom('findings')
    .select(['cause', 'cure', 'since'])
    .where('agent_id', '=', agentId)
    .orderBy('since', 'desc')
    .limit(MOST_SHOWN)
    .execute();
}
