import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { afterCancel } from './after-cancel.ts';
import type { OperationRow } from './claims.ts';
import { askToEnd, cancelQueued } from './endings.ts';
import { followHolds, leavePayments } from './follow-holds.ts';
import { findOperation } from './registry.ts';
import { getOperation, lockOperation } from './requests.ts';
import type { OperationKind } from './states.ts';

/** Why operations of a kind cannot be cancelled; undefined: they can. */
export function whyNeverCancelled(kind: OperationKind): string | undefined {
  const definition = findOperation(kind);
  if (definition?.freesResources) return `A ${kind} cannot be cancelled: it frees billed resources`;
  if (definition?.adopts)
    return `An ${kind} cannot be cancelled: the server that the agent runs on has to become its own`;
  if (definition?.followsHolds)
    return `A ${kind} cannot be cancelled: it follows the agent's holds. Place or release one instead`;
  return undefined;
}

/** Cancels an unfinished operation. @throws NotFoundError, ConflictError if it is over or frees resources */
export async function cancelOperation(
  trx: Transaction,
  queue: Queue,
  request: { operationId: string; actor: string },
): Promise<OperationRow> {
  const { agent, operation } = await lockOperation(trx, request.operationId);
  const agentId = agent.agent_id;
  if (operation.status !== 'queued' && operation.status !== 'active') {
    throw new ConflictError(`Operation ${operation.operation_id} is already ${operation.status}`);
  }
  const definition = findOperation(operation.kind);
  const refusal = whyNeverCancelled(operation.kind);
  if (refusal !== undefined) throw new ConflictError(refusal);
  if (operation.status === 'active') await askToEnd(trx, operation.operation_id);
  else {
    await cancelQueued(trx, operation);
    // An earlier attempt may have left something half done, and a cancelled create leaves a failed agent.
    if (operation.attempt > 0 || definition?.createsAgent) await afterCancel(trx, queue, operation);
  }
  await audit(trx, {
    actor: request.actor,
    action: 'operation.cancel',
    agentId,
    operationId: operation.operation_id,
  });
  // A change of its holds may have waited for the end of this operation.
  await followHolds(trx, queue, agentId, { actor: 'service', request: leavePayments });
  return getOperation(trx, operation.operation_id);
}
