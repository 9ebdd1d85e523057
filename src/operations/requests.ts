import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { insertAgent, lockAgent, markDestroying, markFailed, type NewAgent } from '../agents/store.ts';
import { type Database, violatedConstraint } from '../database/connect.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './claims.ts';
import { appendEvents } from './events.ts';
import { ALLOWED_FROM, type OperationKind } from './states.ts';

/** A person's request goes before background work. */
const PRIORITY: Partial<Record<OperationKind, number>> = { refresh: -1, rollback: 1 };

export interface NewOperation {
  agentId: string;
  kind: OperationKind;
  stripeEventId?: string | undefined;
  delaySeconds?: number;
}

/** Writes a queued operation and announces it, in the caller's transaction: both happen or neither. */
export async function insertOperation(
  trx: Database,
  queue: Queue,
  operation: NewOperation,
): Promise<OperationRow> {
  const delaySeconds = operation.delaySeconds ?? 0;
  const row = await trx
    .insertInto('operations')
    .values({
      agent_id: operation.agentId,
      kind: operation.kind,
      executor: 'local',
      priority: PRIORITY[operation.kind] ?? 0,
      stripe_event_id: operation.stripeEventId ?? null,
      run_after: sql`now() + make_interval(secs => ${delaySeconds})`,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  await appendEvents(trx, row.operation_id, 0, [{ type: 'status', data: { status: 'queued', attempt: 0 } }]);
  await queue.announce(trx, {
    operationId: row.operation_id,
    agentId: row.agent_id,
    ...(delaySeconds > 0 ? { startAfter: new Date(Date.now() + delaySeconds * 1000) } : {}),
  });
  return row;
}

/** A new agent with its provision, in the caller's transaction. @throws ConflictError where the id was ever used. */
export async function requestAgent(
  trx: Database,
  queue: Queue,
  request: { agent: NewAgent; actor: string; stripeEventId?: string | undefined },
): Promise<OperationRow> {
  await insertAgent(trx, request.agent);
  const { agentId } = request.agent;
  const operation = await insertOperation(trx, queue, {
    agentId,
    kind: 'provision',
    stripeEventId: request.stripeEventId,
  });
  await audit(trx, {
    actor: request.actor,
    action: 'agent.create',
    agentId,
    operationId: operation.operation_id,
    details: { ...request.agent },
  });
  return operation;
}

/**
 * An operation that a person asks for on an agent that exists.
 * @throws NotFoundError, ConflictError where the agent's state does not allow it or the same is already under way.
 */
export async function requestOperation(
  trx: Database,
  queue: Queue,
  request: { agentId: string; kind: OperationKind; actor: string },
): Promise<OperationRow> {
  const { agentId, kind, actor } = request;
  const agent = await lockAgent(trx, agentId);
  const allowed = ALLOWED_FROM[kind];
  if (allowed === undefined) throw new ConflictError(`A ${kind} cannot be asked for`);
  if (!allowed.includes(agent.status)) {
    throw new ConflictError(
      `Agent ${agentId} is ${agent.status}; ${kind} is possible while it is ${allowed.join(', ')}`,
    );
  }
  await refuseDouble(trx, agentId, kind);
  if (kind === 'destroy') {
    await endOthers(trx, agentId);
    await markDestroying(trx, agentId);
  }
  const operation = await insertOperation(trx, queue, { agentId, kind });
  await audit(trx, { actor, action: `agent.${kind}`, agentId, operationId: operation.operation_id });
  return operation;
}

async function refuseDouble(trx: Database, agentId: string, kind: OperationKind): Promise<void> {
  const same = await trx
    .selectFrom('operations')
    .select('operation_id')
    .where('agent_id', '=', agentId)
    .where('kind', '=', kind)
    .where('status', 'in', ['queued', 'active'])
    .executeTakeFirst();
  if (same !== undefined)
    throw new ConflictError(
      `A ${kind} of agent ${agentId} is already under way (operation ${same.operation_id})`,
    );
}

/** A destroy makes everything else on the agent pointless: what waits is cancelled, what runs is asked to end. */
async function endOthers(trx: Database, agentId: string): Promise<void> {
  const unfinished = await trx
    .selectFrom('operations')
    .select(['operation_id', 'status', 'attempt'])
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['queued', 'active'])
    .forNoKeyUpdate()
    .execute();
  for (const operation of unfinished) {
    if (operation.status === 'queued') await cancelQueued(trx, operation);
    else await askToEnd(trx, operation.operation_id);
  }
}

async function cancelQueued(
  trx: Database,
  operation: { operation_id: string; attempt: number },
): Promise<void> {
  await trx
    .updateTable('operations')
    .set({
      status: 'cancelled',
      cancel_requested: true,
      finished_at: sql`clock_timestamp()`,
      updated_at: sql`now()`,
    })
    .where('operation_id', '=', operation.operation_id)
    .where('status', '=', 'queued')
    .execute();
  await appendEvents(trx, operation.operation_id, operation.attempt, [
    { type: 'step', data: { step: 'finished' } },
    { type: 'status', data: { status: 'cancelled', attempt: operation.attempt } },
  ]);
}

async function askToEnd(trx: Database, operationId: string): Promise<void> {
  await trx
    .updateTable('operations')
    .set({ cancel_requested: true, updated_at: sql`now()` })
    .where('operation_id', '=', operationId)
    .execute();
}

/**
 * Next attempt of an operation that has failed or was cancelled; its tries are counted afresh.
 * @throws NotFoundError, ConflictError where it is not the agent's latest of its kind, or the agent's state does not allow it.
 */
export async function retryOperation(
  trx: Database,
  queue: Queue,
  request: { operationId: string; actor: string },
): Promise<OperationRow> {
  const { agent_id: agentId } = await getOperation(trx, request.operationId);
  // The agent is locked before its operations, here as everywhere: one order, no deadlock.
  const agent = await lockAgent(trx, agentId);
  const operation = await trx
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', request.operationId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
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
  if (operation.kind === 'provision') await cancelWaitingRollbacks(trx, agentId);
  return queueAgain(trx, queue, operation, request.actor);
}

/** The service tries a failed destroy again by itself, after a rest; a person who has mended the cause need not wait for that. */
async function hastenDestroy(
  trx: Database,
  queue: Queue,
  { agentId, actor }: { agentId: string; actor: string },
): Promise<OperationRow> {
  const waiting = await trx
    .updateTable('operations')
    .set({ run_after: sql`now()`, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('kind', '=', 'destroy')
    .where('status', '=', 'queued')
    .returningAll()
    .executeTakeFirst();
  if (waiting === undefined) throw new ConflictError(`A destroy of agent ${agentId} is under way`);
  await audit(trx, { actor, action: 'operation.retry', agentId, operationId: waiting.operation_id });
  await queue.announce(trx, { operationId: waiting.operation_id, agentId });
  return waiting;
}

/** The provision takes over what a rollback that has not begun would have freed; run after it, the rollback would free a running agent. */
async function cancelWaitingRollbacks(trx: Database, agentId: string): Promise<void> {
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
  trx: Database,
  queue: Queue,
  operation: OperationRow,
  actor: string,
): Promise<OperationRow> {
  try {
    const row = await trx
      .updateTable('operations')
      .set({
        status: 'queued',
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

/** Asks for an unfinished operation to end. @throws NotFoundError, ConflictError where it has ended. */
export async function cancelOperation(
  trx: Database,
  queue: Queue,
  request: { operationId: string; actor: string },
): Promise<OperationRow> {
  const { agent_id: agentId } = await getOperation(trx, request.operationId);
  const agent = await lockAgent(trx, agentId);
  const operation = await trx
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', request.operationId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  if (operation.status !== 'queued' && operation.status !== 'active') {
    throw new ConflictError(`Operation ${operation.operation_id} is ${operation.status} already`);
  }
  if (operation.kind === 'destroy' || operation.kind === 'rollback') {
    throw new ConflictError(`A ${operation.kind} cannot be cancelled: what is billed has to go`);
  }
  if (operation.status === 'active') await askToEnd(trx, operation.operation_id);
  else {
    await cancelQueued(trx, operation);
    if (operation.kind === 'provision') await failCancelled(trx, queue, agent);
  }
  await audit(trx, {
    actor: request.actor,
    action: 'operation.cancel',
    agentId,
    operationId: operation.operation_id,
  });
  return getOperation(trx, operation.operation_id);
}

/** A provision that was cancelled between two tries may have left something billed. */
async function failCancelled(trx: Database, queue: Queue, agent: { agent_id: string }): Promise<void> {
  await markFailed(trx, agent.agent_id, 'The operation was cancelled');
  await insertOperation(trx, queue, { agentId: agent.agent_id, kind: 'rollback' });
}

/** @throws NotFoundError */
export async function getOperation(database: Database, operationId: string): Promise<OperationRow> {
  const operation = await database
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', operationId)
    .executeTakeFirst();
  if (operation === undefined) throw new NotFoundError(`There is no operation ${operationId}`);
  return operation;
}
