import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { waitsForNews } from './claims.ts';
import { isPassedBy } from './give-way.ts';
import type { OperationKind } from './states.ts';

/** What keeps a queued operation from being claimed. */
export type WaitCause =
  /** Nothing but a free worker. */
  | 'worker'
  /** Another operation of its agent goes first. */
  | 'agent'
  /** What it needs is sold out, or the configuration of the workers does not work. */
  | 'supply'
  /** An earlier try failed, or it is for later. */
  | 'time'
  /** Something about its agent's payments is recorded and has not been read. */
  | 'payments'
  /** GitHub has been asked to run it. */
  | 'runner';

export interface WaitingOperation {
  operationId: string;
  agentId: string;
  kind: OperationKind;
  createdAt: Date;
  /** When its next try is due. */
  runAfter: Date;
  cause: WaitCause;
  /** The kind of the operation that goes first; with the cause `agent`. */
  behind: OperationKind | null;
  /** Why it waits, as recorded; with the cause `supply`. */
  waitsFor: string | null;
  /** The error of its last try. */
  error: string | null;
}

/**
 * Returns the first queued operations and how many there are. Those that wait only for a worker come first,
 * in the order in which they will be claimed; the others by when their next try is due.
 */
export async function listWaiting(
  database: Database,
  limit: number,
): Promise<{ count: number; first: WaitingOperation[] }> {
  const { rows } = await sql<WaitingOperation & { total: number }>`
    with waiting as (
      select o.*, p.kind as behind, ${CAUSE} as cause
      from operations o left join lateral (
        select p.kind from operations p where p.agent_id = o.agent_id and (p.status = 'active'
          or (p.status = 'queued' and p.sequence < o.sequence and not ${isPassedBy('p')}))
        order by p.sequence limit 1) p on true
      where o.status = 'queued')
    select operation_id as "operationId", agent_id as "agentId", kind, created_at as "createdAt",
      run_after as "runAfter", cause, behind, waits_for as "waitsFor", left(error, 300) as error,
      (count(*) over ())::int as total
    from waiting
    order by cause <> 'worker', case when cause = 'worker' then priority end desc,
      case when cause = 'worker' then sequence end, run_after, sequence
    limit ${limit}`.execute(database);
  return { count: rows[0]?.total ?? 0, first: rows.map(({ total: _, ...row }) => row) };
}

const CAUSE: RawBuilder<WaitCause> = sql<WaitCause>`case
  when o.dispatched_at is not null then 'runner'
  when o.waits_for is not null then 'supply'
  when p.kind is not null then 'agent'
  when o.run_after > now() then 'time'
  when ${waitsForNews} then 'payments'
  else 'worker' end`;
