import { markStopFailed, recordFailure } from '../agents/lifecycle.ts';
import type { AgentStatus } from '../agents/states.ts';
import { markFailed, recordDestroyFailure, recordRollbackFailure, recordUnhealthy } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './claims.ts';
import { insertOperation } from './requests.ts';
import { EXCLUSIVE } from './states.ts';

/** How long a destroy that has failed for the last time rests before the service tries it again by itself. */
const DESTROY_AGAIN_SECONDS = 600;

/** While a runbook is at this step it has changed nothing at the clouds. */
const UNTOUCHED = 'preparing';

/** What it means for an agent that a person has ended an operation that may have begun. */
export async function afterCancel(trx: Transaction, queue: Queue, row: OperationRow): Promise<void> {
  const why = `The ${row.kind} was cancelled`;
  // A refresh has found out nothing, and how far the others came, nobody has looked.
  if (row.kind === 'refresh') return;
  if (row.kind !== 'stop' && EXCLUSIVE.includes(row.kind))
    return recordFailure(trx, row.agent_id, { error: why, health: 'unknown' });
  await afterLastFailure(trx, queue, row, { error: why });
}

/** What the last failure of an operation means for its agent. */
export async function afterLastFailure(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, step }: { error: string; step?: string | undefined },
): Promise<void> {
  switch (row.kind) {
    case 'provision': {
      // A destroy that was asked for meanwhile frees everything itself.
      if ((await statusOf(trx, row.agent_id)) === 'destroying') return;
      await markFailed(trx, row.agent_id, error);
      await insertOperation(trx, queue, { agentId: row.agent_id, kind: 'rollback' });
      return;
    }
    case 'rollback':
      // Asked to be destroyed, or provisioned again, since: that operation frees or uses what there is.
      if ((await statusOf(trx, row.agent_id)) !== 'failed') return;
      await recordRollbackFailure(trx, row.agent_id, error);
      await insertOperation(trx, queue, {
        agentId: row.agent_id,
        kind: 'rollback',
        delaySeconds: DESTROY_AGAIN_SECONDS,
      });
      return;
    case 'destroy':
      await recordDestroyFailure(trx, row.agent_id, error);
      await insertOperation(trx, queue, {
        agentId: row.agent_id,
        kind: 'destroy',
        delaySeconds: DESTROY_AGAIN_SECONDS,
      });
      return;
    case 'refresh':
      await recordUnhealthy(trx, row.agent_id, error);
      return;
    case 'stop':
      // Refused before it began, or a destroy was asked for meanwhile: the agent is not on its way to being switched off.
      if ((await statusOf(trx, row.agent_id)) === 'stopping') await markStopFailed(trx, row.agent_id, error);
      return;
    default:
      // Refused before anything was touched: nothing speaks against the agent, and somebody looks soon.
      return recordFailure(trx, row.agent_id, {
        error,
        health: step === UNTOUCHED ? 'unknown' : 'unhealthy',
      });
  }
}

async function statusOf(trx: Transaction, agentId: string): Promise<AgentStatus> {
  const agent = await trx
    .selectFrom('agents')
    .select('status')
    .where('agent_id', '=', agentId)
    .executeTakeFirstOrThrow();
  return agent.status;
}
