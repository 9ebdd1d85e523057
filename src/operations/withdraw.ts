import { sql } from 'kysely';
import { lockAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { afterCancel } from './after-cancel.ts';
import { askToEnd, cancelQueued } from './endings.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';

/**
 * Takes back operations that the service itself wanted and no longer wants. One that waits is cancelled. An
 * active one goes on, and its end shows what has to follow; only a destroy that has not passed its last check
 * is asked to end: it has removed nothing. The caller has locked the agent, which is not `destroying`.
 * @param options `exceptPlan`: the plan whose resize is still wanted
 */
export async function withdrawQueued(
  trx: Transaction,
  queue: Queue,
  agentId: string,
  kinds: readonly OperationKind[],
  { exceptPlan }: { exceptPlan?: string | undefined } = {},
): Promise<void> {
  if (kinds.length === 0) return;
  const unwanted: OperationRow[] = await trx
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('kind', 'in', [...kinds])
    .where('status', 'in', ['queued', 'active'])
    .$if(exceptPlan !== undefined, (query) => query.where(sql<boolean>`parameters->>'plan' <> ${exceptPlan}`))
    .where(sql<boolean>`exists (select 1 from changes c where c.operation_id = operations.operation_id)`)
    .forNoKeyUpdate()
    .execute();
  for (const operation of unwanted) {
    if (operation.status === 'queued') {
      await cancelQueued(trx, operation);
      if (operation.attempt > 0) await afterCancel(trx, queue, operation);
    } else if (operation.asks_again) await askToEnd(trx, operation.operation_id);
  }
}

/**
 * Cancels the suspensions and hibernations that the service has queued by itself and that have not begun. For
 * a start that does not act on payments: it does no harm, and nobody may be there to read the news that they
 * wait for, so they would keep their agents' other operations waiting for ever. What has begun goes on to its
 * end.
 * @returns how many agents had one
 */
export async function withdrawWaitingHarm(database: Database, queue: Queue): Promise<number> {
  const kinds = ['suspend', 'hibernate'];
  const { rows } = await sql<{ agentId: string }>`
    select distinct o.agent_id as "agentId" from operations o join changes c using (operation_id)
    where o.status = 'queued' and o.started_at is null and o.kind = any(${kinds}::text[]) order by o.agent_id`.execute(
    database,
  );
  for (const { agentId } of rows)
    await database.transaction().execute(async (trx) => {
      await lockAgent(trx, agentId);
      await withdrawQueued(trx, queue, agentId, kinds);
    });
  return rows.length;
}
