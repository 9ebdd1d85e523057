import { abandonAdoption } from '../agents/adoptions.ts';
import { audit } from '../agents/audit.ts';
import { type AgentRow, lockAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { hastenWaiting } from './hasten.ts';
import type { OperationRow } from './rows.ts';

type GivenBack = Pick<AgentRow, 'agent_id' | 'status' | 'inputs' | 'secrets'>;

/** Why nothing can be given up on an agent's server; undefined: it is being given back. */
export function whyNotAbandoned({
  agent_id: agentId,
  status,
  inputs,
  secrets,
}: GivenBack): string | undefined {
  if (inputs?.adopting === undefined)
    return `Agent ${agentId} is adopting no server: nothing is to be given up`;
  if (status !== 'failed' && status !== 'destroying')
    return `Agent ${agentId} is ${status}; to abandon is possible while its server is given back: cancel the adoption, or destroy the agent`;
  return secrets === null ? `The server of agent ${agentId} has been given back` : undefined;
}

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
  const agent = await lockAgent(trx, agentId);
  const why = whyNotAbandoned(agent);
  if (why !== undefined) throw new ConflictError(why);
  await abandonAdoption(trx, agentId);
  const kind = agent.status === 'destroying' ? 'destroy' : 'rollback';
  const operation = await hastenWaiting(trx, queue, { agentId, kind });
  await audit(trx, {
    actor,
    action: 'agent.abandon',
    agentId,
    ...(operation && { operationId: operation.operation_id }),
  });
  return operation;
}
