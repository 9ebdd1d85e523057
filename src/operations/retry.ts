import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { type Transaction, violatedConstraint } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './claims.ts';
import { cancelQueued } from './endings.ts';
import { appendEvents } from './events/events.ts';
import { chosenExecutor } from './executor-choice.ts';
import { lockOperation, refuseDouble } from './requests.ts';
import { ALLOWED_FROM, EXCLUSIVE } from './states.ts';

/**
 * Next attempt of an operation that has failed or was cancelled; its tries are counted afresh.
 * @throws NotFoundError, ConflictError where it is not the agent's latest of its kind, or the agent's state does not allow it.
 */
export async function retryOperation(
  trx: Transaction,
  queue: Queue,
  request: { operationId: string; actor: string },
): Promise<OperationRow> {
  const { agent, operation } = await lockOperation(trx, request.operationId);
  const agentId = agent.agent_id;
  if (operation.status !== 'failed' && operation.status !== 'cancelled') {
    throw new ConflictError(
      `Operation ${operation.operation_id} is ${operation.status}; only a failed or cancelled one can be tried again`,
    );
  }
  if (operation.kind === 'destroy' && agent.status === 'destroying') {
    return hastenDestroy(trx, queue, { agentId, actor: request.actor });
  }
  const allowed = operation.kind === 'provision' ? (['failed'] as const) : ALLOWED_FROM[operation.kind];
  if (!(allowed as readonly string[] | undefined)?.includes(agent.status)) {
    throw new ConflictError(
      `Agent ${agentId} is ${agent.status}; its ${operation.kind} cannot be tried again now`,
    );
  }
  if (EXCLUSIVE.includes(operation.kind)) await refuseDouble(trx, agentId, operation.kind);
  if (operation.kind === 'provision') await cancelWaitingRollbacks(trx, agentId);
  return queueAgain(trx, queue, operation, request.actor);
}

/** The service tries a failed destroy again by itself, after a rest; a person who has mended the cause need not wait for that. */
async function hastenDestroy(
  trx: Transaction,
  queue: Queue,
  { agentId, actor }: { agentId: string; actor: string },
): Promise<OperationRow> {
  const waiting = await trx
    .updateTable('operations')
    .set({ run_after: sql`now()`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('kind', '=', 'destroy')
    .where('status', '=', 'queued')
    .where('dispatched_at', 'is', null)
    .returningAll()
    .executeTakeFirst();
  if (waiting === undefined) throw new ConflictError(`A destroy of agent ${agentId} is under way`);
  await audit(trx, { actor, action: 'operation.retry', agentId, operationId: waiting.operation_id });
  await queue.announce(trx, { operationId: waiting.operation_id, agentId });
  return waiting;
}

/** The provision takes over what a rollback that has not begun would have freed; run after it, the rollback would free a running agent. */
async function cancelWaitingRollbacks(trx: Transaction, agentId: string): Promise<void> {
  const waiting = await trx
    .selectFrom('operations')
    .select(['operation_id', 'attempt'])
    .where('agent_id', '=', agentId)
    .where('kind', '=', 'rollback')
    .where('status', '=', 'queued')
    .forNoKeyUpdate()
    .execute();
  for (const rollback of waiting) await cancelQueued(trx, rollback);
}

async function queueAgain(
  trx: Transaction,
  queue: Queue,
  operation: OperationRow,
  actor: string,
): Promise<OperationRow> {
  try {
    const row = await trx
      .updateTable('operations')
      .set({
        status: 'queued',
        executor: chosenExecutor,
        retry_count: 0,
        lost_count: 0,
        cancel_requested: false,
        finished_at: null,
        run_after: sql`now()`,
        updated_at: sql`now()`,
      })
      .where('operation_id', '=', operation.operation_id)
      .returningAll()
      .executeTakeFirstOrThrow();
    await appendEvents(trx, row.operation_id, row.attempt, [
      { type: 'step', data: { step: 'queued' } },
      { type: 'status', data: { status: 'queued', attempt: row.attempt } },
    ]);
    await audit(trx, {
      actor,
      action: 'operation.retry',
      agentId: row.agent_id,
      operationId: row.operation_id,
    });
    await queue.announce(trx, { operationId: row.operation_id, agentId: row.agent_id });
    return row;
  } catch (error) {
    if (violatedConstraint(error) !== undefined)
      throw new ConflictError(`Another ${operation.kind} of this agent is under way`, { cause: error });
    throw error;
  }
}
