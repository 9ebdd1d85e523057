import type { Database } from '../database/connect.ts';
import type { OperationRow } from './claims.ts';
import type { OperationKind } from './states.ts';

/** A page of an agent's operations, newest first. `before`: the last `sequence` of the previous page. */
export async function listOperations(
  database: Database,
  page: { agentId: string; before?: number | undefined; limit: number },
): Promise<OperationRow[]> {
  let query = database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', page.agentId)
    .orderBy('sequence', 'desc')
    .limit(page.limit);
  if (page.before !== undefined) query = query.where('sequence', '<', page.before);
  return query.execute();
}

/** The agent's newest operation of a kind. */
export function findLatest(
  database: Database,
  { agentId, kind }: { agentId: string; kind: OperationKind },
): Promise<OperationRow | undefined> {
  return database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('kind', '=', kind)
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** The step events of several operations by operation id, each in order, for their timelines. */
export async function readStepsByOperation(
  database: Database,
  operationIds: readonly string[],
): Promise<Map<string, { step: string; at: Date }[]>> {
  const steps = new Map<string, { step: string; at: Date }[]>(operationIds.map((id) => [id, []]));
  if (operationIds.length === 0) return steps;
  const rows = await database
    .selectFrom('operation_events')
    .select(['operation_id', 'data', 'at'])
    .where('operation_id', 'in', [...operationIds])
    .where('type', '=', 'step')
    .orderBy('operation_id')
    .orderBy('sequence')
    .execute();
  for (const row of rows) steps.get(row.operation_id)?.push({ step: String(row.data.step), at: row.at });
  return steps;
}
