import { refuseForeignDevices } from '../../agents/devices.ts';
import type { AgentOutputs } from '../../agents/outputs.ts';
import { markRunning } from '../../agents/store.ts';
import type { Transaction } from '../../database/connect.ts';
import { ConflictError } from '../../errors.ts';
import { queueAllByService } from '../../operations/consequences.ts';
import { endSucceeded } from '../../operations/end.ts';
import type { OperationRow } from '../../operations/rows.ts';
import type { Queue } from '../../queue/queue.ts';
import { markServed } from '../../slots/claimed.ts';

/** Adoptions cost processor time, which the hand-overs of the same moment need. */
const ADOPTION_SECONDS = 5;

/** Queues the adoptions of agents that run on their slots' servers. */
export function queueAdoptions(trx: Transaction, agentIds: readonly string[]): Promise<void> {
  const cause = 'it runs on a server that waited';
  return queueAllByService(trx, agentIds, 'adopt', { cause, delaySeconds: ADOPTION_SECONDS });
}

/** A provision, locked with its agent, that has handed a slot over. */
export interface Served {
  row: OperationRow;
  outputs: AgentOutputs;
}

/**
 * Ends provisions that have handed slots over, as `succeedLocked` ends one, with as many statements for
 * fifty as for one. All or none.
 * @throws ConflictError if an agent's status does not allow it, or its slot is no longer its own
 */
export async function succeedServed(
  trx: Transaction,
  queue: Queue,
  served: readonly Served[],
): Promise<void> {
  const agents = served.map(({ row: { agent_id: agentId, operation_id: operationId }, outputs }) => ({
    agentId,
    operationId,
    outputs,
  }));
  await refuseForeignDevices(trx, agents);
  await markRunning(trx, agents);
  const done = new Set(await markServed(trx, agents));
  const other = agents.find(({ agentId }) => !done.has(agentId));
  if (other !== undefined) throw new ConflictError(`The slot of agent ${other.agentId} is no longer its own`);
  await queueAdoptions(trx, [...done]);
  const rows = served.map(({ row }) => row);
  await endSucceeded(trx, queue, rows, [{ type: 'step', data: { step: 'running' } }]);
}
