import { isDeepStrictEqual } from 'node:util';
import { type RawBuilder, sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { Queue } from '../queue/queue.ts';
import { afterCancel } from './after-cancel.ts';
import { cancelQueued } from './endings.ts';
import { appendEvents } from './events/events.ts';
import {
  adoptingKinds,
  exclusiveKinds,
  findOperation,
  kindsBeside,
  operationDefinitions,
} from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';

/**
 * Whether a later operation of its agent passes a queued one by: it waits for stock, or adopts a slot, which
 * may fail for as long as the server does not answer. One that waits for its turn beside the slots and has
 * not begun is passed by kinds that leave the disk as it is, and by no other: a snapshot that was asked for
 * before a rebuild or a destroy is made before it.
 */
export function isPassedBy(
  table: 'p' | 'operations',
  later: RawBuilder<string> = sql.ref<string>('o.kind'),
): RawBuilder<boolean> {
  const patient = operationDefinitions().flatMap(({ kind, waitsUntouched }) =>
    waitsUntouched ? [kind] : [],
  );
  const leavingKinds = operationDefinitions().flatMap(({ kind, leavesDisk }) => (leavesDisk ? [kind] : []));
  const column = (name: string) => sql.ref(`${table}.${name}`);
  return sql<boolean>`(${column('dispatched_at')} is null and (${column('kind')} = any(${adoptingKinds()}::text[])
    or (${column('attempt')} = 0 and ${column('kind')} = any(${kindsBeside()}::text[])
      and ${later} = any(${leavingKinds}::text[]))
    or (${column('waits_for')} is not null and ${column('run_after')} > now()
      and ${column('kind')} = any(${patient}::text[]))))`;
}

type Waiting = Pick<OperationRow, 'kind' | 'status' | 'waits_for' | 'dispatched_at' | 'attempt'>;

/**
 * Whether an exclusive operation only waits, for stock or for a configuration that works, and has changed
 * nothing at a cloud. It keeps nobody else from the agent. What the holds demand is not meant: only they end
 * that. Neither is a provision: without it there would be no agent.
 */
export function onlyWaits({ kind, status, waits_for: reason, dispatched_at: dispatched, attempt }: Waiting) {
  const { exclusive, followsHolds, waitsUntouched } = findOperation(kind) ?? {};
  if (!exclusive || followsHolds || status !== 'queued' || dispatched !== null) return false;
  return reason !== null && (attempt === 0 || waitsUntouched === true);
}

/** The agent's unfinished exclusive operations, locked, the oldest first. */
export function lockExclusive(trx: Transaction, agentId: string): Promise<OperationRow[]> {
  return trx
    .selectFrom('operations')
    .selectAll()
    .where('agent_id', '=', agentId)
    .where('kind', 'in', exclusiveKinds())
    .where('status', 'in', ['queued', 'active'])
    .orderBy('sequence')
    .forNoKeyUpdate()
    .execute();
}

/** Whether a request by a person may overtake this operation. One for the same thing would only repeat it. */
export function givesWayTo(
  operation: OperationRow,
  { kind, parameters = {} }: { kind: OperationKind; parameters?: OperationParameters | undefined },
): boolean {
  const isSame = operation.kind === kind && isDeepStrictEqual(operation.parameters, parameters);
  return onlyWaits(operation) && !isSame;
}

/** Cancels an operation that only waits, and says in its log what has overtaken it. */
export async function overtake(
  trx: Transaction,
  queue: Queue,
  operation: OperationRow,
  { kind, actor }: { kind: OperationKind; actor: string },
): Promise<void> {
  const { operation_id: operationId, agent_id: agentId, attempt } = operation;
  const line = `The ${operation.kind} only waited: a ${kind} has overtaken it`;
  await appendEvents(trx, operationId, attempt, [{ type: 'log', data: { line, stream: 'service' } }]);
  await cancelQueued(trx, operation);
  if (attempt > 0) await afterCancel(trx, queue, operation, line);
  const details = { overtakenBy: kind };
  await audit(trx, { actor, action: 'operation.cancel', agentId, operationId, details });
}
