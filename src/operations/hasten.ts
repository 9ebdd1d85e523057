import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';
import { hasten } from './transitions.ts';

/**
 * Makes an agent's queued operation of this kind due now. The caller has locked the agent.
 * @returns undefined if none waits, or a runner has it already
 */
export async function hastenWaiting(
  trx: Transaction,
  queue: Queue,
  { agentId, kind }: { agentId: string; kind: OperationKind },
): Promise<OperationRow | undefined> {
  const waiting = await trx
    .selectFrom('operations')
    .select(['operation_id', 'attempt'])
    .where('agent_id', '=', agentId)
    .where('kind', '=', kind)
    .where('status', '=', 'queued')
    .where('dispatched_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (waiting === undefined) return undefined;
  await queue.announce(trx, { operationId: waiting.operation_id, agentId });
  return hasten(trx, waiting);
}
