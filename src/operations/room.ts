import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './rows.ts';
import { hasten } from './transitions.ts';

/** An attempt has found its agent's Hetzner project full. The caller has locked its operation. */
export async function wantRoom(trx: Transaction, { operation_id: id }: OperationRow): Promise<void> {
  await trx.updateTable('operations').set({ room: 'wanted' }).where('operation_id', '=', id).execute();
}

/**
 * A slot's place in a Hetzner project has become free: the first operation that wants one is due now. The
 * others stay where they are, because each try that finds the project full costs a worker's place.
 */
export async function freeRoom(trx: Transaction, queue: Queue, project: string): Promise<void> {
  const first = await trx
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .select(['o.operation_id', 'o.agent_id', 'o.attempt', 'o.status'])
    .where('a.project', '=', project)
    .where('o.room', '=', 'wanted')
    .where('o.status', 'in', ['queued', 'active'])
    .where('o.dispatched_at', 'is', null)
    .orderBy('o.priority', 'desc')
    .orderBy('o.sequence')
    .limit(1)
    // Waits for an attempt that is just being queued again: it would sleep through this.
    .forNoKeyUpdate(['o'])
    .executeTakeFirst();
  if (first === undefined) return;
  const { operation_id: operationId, agent_id: agentId } = first;
  await trx
    .updateTable('operations')
    .set({ room: 'freed' })
    .where('operation_id', '=', operationId)
    .execute();
  // The end of an attempt that is still at work sees it.
  if (first.status !== 'queued') return;
  await hasten(trx, first);
  await queue.announce(trx, { operationId, agentId });
}
