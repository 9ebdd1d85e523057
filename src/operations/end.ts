import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { queueAllByService } from './consequences.ts';
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
  const { held, unadopted } = await findConcerned(trx, rows);
  if (unadopted.length > 0) await queueAllByService(trx, unadopted, ADOPTION, { cause: 'it runs again' });
  for (const row of rows) if (held.has(row.agent_id)) await followAfter(trx, queue, row);
}

const ADOPTION = 'adopt';

/**
 * `held`: those of the agents that have a hold or an operation that followHolds looks at; it has no news for
 * others. `unadopted`: those that run on a slot's server which no operation is to make theirs.
 */
async function findConcerned(
  trx: Transaction,
  rows: readonly OperationRow[],
): Promise<{ held: Set<string>; unadopted: string[] }> {
  const ids = rows.map((row) => row.agent_id);
  const adopting = rows.filter(({ kind }) => kind === ADOPTION).map((row) => row.agent_id);
  const { rows: found } = await sql<{ id: string; what: 'held' | 'unadopted' }>`
    select agent_id as id, 'held' as what from holds where agent_id = any(${ids}::text[])
    union select agent_id, 'held' from operations
      where agent_id = any(${ids}::text[]) and kind = any(${exclusiveKinds()}::text[])
    union select a.agent_id, 'unadopted' from agents a join slots s using (agent_id)
      where a.agent_id = any(${ids}::text[]) and a.agent_id <> all(${adopting}::text[])
        and a.status = 'running' and s.status = 'claimed' and s.served_at is not null
        and not exists (select 1 from operations o where o.agent_id = a.agent_id and o.kind = ${ADOPTION}
          and o.status in ('queued', 'active'))`.execute(trx);
  return {
    held: new Set(found.filter(({ what }) => what === 'held').map(({ id }) => id)),
    unadopted: found.filter(({ what }) => what === 'unadopted').map(({ id }) => id),
  };
}
