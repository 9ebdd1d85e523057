import { abandonAdoption } from '../agents/adoptions.ts';
import { audit } from '../agents/audit.ts';
import { lockAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { hastenWaiting } from './hasten.ts';
import type { OperationRow } from './rows.ts';

/** What gives a server back, by the state of its agent. */
const GIVES_BACK = { failed: 'rollback', destroying: 'destroy' } as const;

/**
 * Gives up what the service could not undo on a server that it does not adopt any more: its keys and its
 * device are removed by the next attempt, which is due now, though nobody gets in with them any more.
 * @returns the operation that does it; undefined: one is under way, and its next attempt does
 * @throws NotFoundError; ConflictError if nothing of the agent is being given back
 */
export async function requestAbandonment(
  trx: Transaction,
  queue: Queue,
  { agentId, actor }: { agentId: string; actor: string },
): Promise<OperationRow | undefined> {
  const { status, inputs, secrets } = await lockAgent(trx, agentId);
  if (inputs?.adopting === undefined)
    throw new ConflictError(`Agent ${agentId} is adopting no server: nothing is to be given up`);
  if (status !== 'failed' && status !== 'destroying')
    throw new ConflictError(
      `Agent ${agentId} is ${status}; to abandon is possible while its server is given back: cancel the adoption, or destroy the agent`,
    );
  if (secrets === null) throw new ConflictError(`The server of agent ${agentId} has been given back`);
  await abandonAdoption(trx, agentId);
  const operation = await hastenWaiting(trx, queue, { agentId, kind: GIVES_BACK[status] });
  await audit(trx, {
    actor,
    action: 'agent.abandon',
    agentId,
    ...(operation && { operationId: operation.operation_id }),
  });
  return operation;
}
