import type { AgentStatus } from '../agents/states.ts';
import { getAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { operationDefinitions } from './registry.ts';
import { retryOperation } from './retry.ts';
import type { OperationRow } from './rows.ts';

/**
 * Finds the operation that a person means by "retry" on an agent in this status: its newest one, if that has
 * failed or was cancelled and may be retried. What the service does by itself, such as a rollback, is no
 * obstacle.
 */
export async function findRetryable(
  database: Database,
  { agentId, status }: { agentId: string; status: AgentStatus },
): Promise<OperationRow | undefined> {
  const hastened = operationDefinitions().filter(({ hastenedIn }) => hastenedIn === status);
  const retried = operationDefinitions().filter(({ retryFrom, from }) =>
    (retryFrom ?? from)?.includes(status),
  );
  const newest = await database
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('kind', 'in', ['', ...[...hastened, ...retried].map(({ kind }) => kind)])
    // The successor of a failed one already waits for its time.
    .$if(hastened.length > 0, (query) => query.where('status', 'in', ['failed', 'cancelled']))
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  return newest !== undefined && ['failed', 'cancelled'].includes(newest.status) ? newest : undefined;
}

/**
 * Retries the agent's newest operation.
 * @throws NotFoundError
 * @throws ConflictError if it cannot be retried
 */
export async function retryLatest(
  trx: Transaction,
  queue: Queue,
  { agentId, actor }: { agentId: string; actor: string },
): Promise<OperationRow> {
  const { status } = await getAgent(trx, agentId);
  const operation = await findRetryable(trx, { agentId, status });
  if (operation === undefined) throw new ConflictError(`Nothing of agent ${agentId} can be retried now`);
  return retryOperation(trx, queue, { operationId: operation.operation_id, actor });
}
