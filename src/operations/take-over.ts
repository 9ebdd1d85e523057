import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationDefinition } from './definition.ts';
import { appendEvents } from './events/events.ts';
import type { OperationRow } from './rows.ts';
import { hasten } from './transitions.ts';

/**
 * Makes a person's request out of the operation of this kind that the service wants and that has not passed
 * its last check: it needs none now and begins at once. A worker that asks meanwhile sees that afterwards.
 * The caller has locked the agent.
 * @returns undefined if there is none
 */
export async function takeOverAutomatic(
  trx: Transaction,
  queue: Queue,
  { agentId, definition }: { agentId: string; definition: OperationDefinition },
): Promise<OperationRow | undefined> {
  if (definition.asksAgain !== true) return undefined;
  const taken = await trx
    .updateTable('operations')
    .set({ asks_again: false, cancel_requested: false })
    .where('agent_id', '=', agentId)
    .where('kind', '=', definition.kind)
    .where('status', 'in', ['queued', 'active'])
    .where('asks_again', '=', true)
    .returningAll()
    .executeTakeFirst();
  if (taken === undefined) return undefined;
  const { operation_id: operationId, attempt } = taken;
  await forgetChange(trx, operationId);
  await definition.request?.(trx, agentId, operationId);
  const line = `A person has requested the ${definition.kind}: it needs no last check`;
  await appendEvents(trx, operationId, attempt, [{ type: 'log', data: { line, stream: 'service' } }]);
  if (taken.status !== 'queued' || taken.dispatched_at !== null) return taken;
  await queue.announce(trx, { operationId, agentId });
  return hasten(trx, taken);
}

/** The ledger goes on counting the change, but no longer calls the operation the service's own. */
export async function forgetChange(trx: Transaction, operationId: string): Promise<void> {
  await trx
    .updateTable('changes')
    .set({ operation_id: null })
    .where('operation_id', '=', operationId)
    .execute();
}
