import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { type AgentRow, insertAgent, lockAgent, markDestroying, type NewAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { OperationParameters } from '../database/tables.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import type { OperationRow } from './claims.ts';
import { askToEnd, cancelQueued } from './endings.ts';
import { appendEvents } from './events/events.ts';
import { chosenExecutor } from './executor-choice.ts';
import { ALLOWED_FROM, EXCLUSIVE, type OperationKind } from './states.ts';

/** A person's request goes before background work. */
const PRIORITY: Partial<Record<OperationKind, number>> = { refresh: -1, rollback: 1 };

export interface NewOperation {
  agentId: string;
  kind: OperationKind;
  stripeEventId?: string | undefined;
  delaySeconds?: number;
  parameters?: OperationParameters | undefined;
}

/** Writes a queued operation and announces it, in the caller's transaction: both happen or neither. */
export async function insertOperation(
  trx: Transaction,
  queue: Queue,
  operation: NewOperation,
): Promise<OperationRow> {
  const delaySeconds = operation.delaySeconds ?? 0;
  const row = await trx
    .insertInto('operations')
    .values({
      agent_id: operation.agentId,
      kind: operation.kind,
      executor: chosenExecutor,
      priority: PRIORITY[operation.kind] ?? 0,
      stripe_event_id: operation.stripeEventId ?? null,
      parameters: jsonText(operation.parameters ?? {}),
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
  trx: Transaction,
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
  trx: Transaction,
  queue: Queue,
  request: { agentId: string; kind: OperationKind; actor: string; parameters?: OperationParameters },
): Promise<OperationRow> {
  const { agentId, kind, actor, parameters } = request;
  const agent = await lockAgent(trx, agentId);
  const allowed = ALLOWED_FROM[kind];
  if (allowed === undefined) throw new ConflictError(`${kind} is not in this version`);
  if (!allowed.includes(agent.status)) {
    throw new ConflictError(
      `Agent ${agentId} is ${agent.status}; ${kind} is possible while it is ${allowed.join(', ')}`,
    );
  }
  await refuseDouble(trx, agentId, kind);
  if (parameters?.plan === agent.plan) throw new ConflictError(`Agent ${agentId} has the plan ${agent.plan}`);
  if (kind === 'destroy') {
    await endOthers(trx, agentId);
    await markDestroying(trx, agentId);
  }
  const operation = await insertOperation(trx, queue, { agentId, kind, parameters });
  await audit(trx, {
    actor,
    action: `agent.${kind}`,
    agentId,
    operationId: operation.operation_id,
    ...(parameters && { details: { ...parameters } }),
  });
  return operation;
}

/** The same again, or another change of how the agent runs, before the first has ended. */
export async function refuseDouble(trx: Transaction, agentId: string, kind: OperationKind): Promise<void> {
  const other = await trx
    .selectFrom('operations')
    .select(['operation_id', 'kind'])
    .where('agent_id', '=', agentId)
    .where('kind', 'in', EXCLUSIVE.includes(kind) ? EXCLUSIVE : [kind])
    .where('status', 'in', ['queued', 'active'])
    .executeTakeFirst();
  if (other !== undefined)
    throw new ConflictError(
      `A ${other.kind} of agent ${agentId} is already under way (operation ${other.operation_id})`,
    );
}

/** A destroy makes everything else on the agent pointless: what waits is cancelled, what runs is asked to end. */
async function endOthers(trx: Transaction, agentId: string): Promise<void> {
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

/**
 * An operation and its agent, both locked until the transaction ends. The agent comes first, here as everywhere: one order, no deadlock.
 * @throws NotFoundError
 */
export async function lockOperation(
  trx: Transaction,
  operationId: string,
): Promise<{ agent: AgentRow; operation: OperationRow }> {
  const { agent_id: agentId } = await getOperation(trx, operationId);
  const agent = await lockAgent(trx, agentId);
  const operation = await trx
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', operationId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  return { agent, operation };
}
