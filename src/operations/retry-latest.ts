import { sql } from 'kysely';
import type { AgentStatus } from '../agents/states.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { operationDefinitions } from './registry.ts';
import { retryOperation } from './retry.ts';
import type { OperationRow } from './rows.ts';

/** What a person may retry with one click. */
export type Retryable = Pick<OperationRow, 'operation_id' | 'agent_id' | 'kind'>;

/**
 * Finds for each of these agents the operation that a person means by "retry", if it may be retried without
 * being confirmed: its newest one, if that has failed. What the service does by itself, such as a rollback,
 * is no obstacle.
 * @returns by the agent's id
 */
export async function findRetryable(
  database: Database,
  agentIds: readonly string[],
): Promise<Map<string, Retryable>> {
  if (agentIds.length === 0) return new Map();
  const { rows } = await sql<Newest>`
    select distinct on (o.agent_id) o.operation_id, o.agent_id, o.kind, o.status, o.asks_again, a.status as agent_status,
      exists (select 1 from operations later where later.agent_id = o.agent_id and later.kind = o.kind
        and later.status = 'queued' and later.dispatched_at is null) as has_successor
    from operations o join agents a using (agent_id)
    where o.agent_id = any(${[...agentIds]}::text[]) and o.kind = any(${comparedKinds()}::text[])
      -- The successor of a destroy that has failed waits for its time.
      and not (a.status = 'destroying' and o.status = 'queued')
    order by o.agent_id, o.sequence desc`.execute(database);
  return new Map(rows.filter(isRetryable).map((row) => [row.agent_id, row]));
}

interface Newest extends Retryable {
  status: OperationRow['status'];
  asks_again: boolean;
  agent_status: AgentStatus;
  /** Another one of its kind waits for its time. */
  has_successor: boolean;
}

/** Those that a person may request or retry. */
function comparedKinds(): string[] {
  return operationDefinitions()
    .filter(({ from, retryFrom = [] }) => from !== undefined || retryFrom.length > 0)
    .map(({ kind }) => kind);
}

function isRetryable({ kind, status, asks_again, agent_status, has_successor }: Newest): boolean {
  const definition = operationDefinitions().find((one) => one.kind === kind);
  if (definition === undefined || status !== 'failed') return false;
  // It was confirmed, cannot be undone any more, and is repeated anyway: the click only saves the wait.
  if (definition.hastenedIn === agent_status) return has_successor;
  const { from, retryFrom = from, confirm, followsHolds = false, runsAgent = false } = definition;
  // The service repeats what holds demand for as long as they do; afterwards it would only do harm.
  const isHarm = followsHolds && !runsAgent;
  return confirm === undefined && !asks_again && !isHarm && retryFrom?.includes(agent_status) === true;
}

/**
 * Retries the agent's newest operation if it is one of `operationIds`: what a person has seen.
 * @throws NotFoundError
 * @throws ConflictError if it is another one by now, or cannot be retried
 */
export async function retryLatest(
  trx: Transaction,
  queue: Queue,
  { agentId, operationIds, actor }: { agentId: string; operationIds: readonly string[]; actor: string },
): Promise<OperationRow> {
  await lockAgent(trx, agentId);
  const operation = (await findRetryable(trx, [agentId])).get(agentId);
  if (operation === undefined) throw new ConflictError(`Nothing of agent ${agentId} can be retried now`);
  if (!operationIds.includes(operation.operation_id))
    throw new ConflictError(
      `The newest operation of agent ${agentId} is another one by now, a ${operation.kind}: look at it first`,
    );
  return retryOperation(trx, queue, { operationId: operation.operation_id, actor });
}
