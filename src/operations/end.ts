import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { appendAllEvents, appendEvents, type OperationEvent } from './events/events.ts';
import { followHolds, leavePayments } from './follow-holds.ts';
import { exclusiveKinds } from './registry.ts';
import type { OperationRow } from './rows.ts';
import { markSucceeded } from './transitions.ts';

type StatusEvent = Extract<OperationEvent, { type: 'status' }>;

/** Ends the current step, so that the time until a retry does not count towards it. */
const toEvents = (data: StatusEvent['data']): OperationEvent[] => [
  { type: 'step', data: { step: data.status === 'queued' ? 'waiting_to_retry' : 'finished' } },
  { type: 'status', data },
];

/** Tells that an attempt has ended. The caller has locked the row. */
export async function tellStatus(
  trx: Transaction,
  row: OperationRow,
  data: StatusEvent['data'],
): Promise<void> {
  await appendEvents(trx, row.operation_id, row.attempt, toEvents(data));
}

/** The agent's holds may have changed while the operation was under way. */
export async function followAfter(trx: Transaction, queue: Queue, row: OperationRow): Promise<void> {
  await followHolds(trx, queue, row.agent_id, { actor: 'service', request: leavePayments });
}

/**
 * Ends attempts whose effects are written, of different agents, all or none: active → succeeded. `before`:
 * events of each that no listener has been told of.
 */
export async function endSucceeded(
  trx: Transaction,
  queue: Queue,
  rows: readonly OperationRow[],
  before: readonly OperationEvent[] = [],
): Promise<void> {
  await markSucceeded(trx, rows);
  const ended = rows.map(({ operation_id: operationId, attempt }) => ({
    operationId,
    attempt,
    events: [...before, ...toEvents({ status: 'succeeded', attempt })],
  }));
  await appendAllEvents(trx, ended);
  const concerned = await findHeldOrChanged(trx, rows);
  for (const row of rows) if (concerned.has(row.agent_id)) await followAfter(trx, queue, row);
}

/** Those of the agents that have a hold or an operation that followHolds looks at. It has no news for others. */
async function findHeldOrChanged(trx: Transaction, rows: readonly OperationRow[]): Promise<Set<string>> {
  const ids = rows.map((row) => row.agent_id);
  const { rows: found } = await sql<{ id: string }>`
    select agent_id as id from holds where agent_id = any(${ids}::text[])
    union select agent_id from operations
      where agent_id = any(${ids}::text[]) and kind = any(${exclusiveKinds()}::text[])`.execute(trx);
  return new Set(found.map(({ id }) => id));
}
