import { sql } from 'kysely';
import { getAgent } from '../agents/store.ts';
import { type Database, type Transaction, violatedConstraint } from '../database/connect.ts';
import { LostError } from '../errors.ts';
import { appendEvents, type OperationEvent } from './events/events.ts';
import { findOperation, mayBegin } from './registry.ts';
import type { OperationRow } from './rows.ts';
import { LEASE_SECONDS, type OperationKind } from './states.ts';
import { beginOnWorker } from './transitions.ts';

export type { OperationRow } from './rows.ts';

/** Which attempt of which operation a worker holds: every write of its names all three. */
export interface Claim {
  operationId: string;
  attempt: number;
  workerId: string;
}

/**
 * Takes the next operation that may run: the most urgent, then the oldest, whose agent has no active and no
 * older queued one. Raises its attempt number and gives it a lease. Concurrent callers get different
 * operations; those of the kinds in `waiting` are left.
 */
export async function claimNext(
  database: Database,
  workerId: string,
  leaseSeconds = LEASE_SECONDS,
  waiting: readonly OperationKind[] = [],
): Promise<OperationRow | undefined> {
  try {
    return await database.transaction().execute(async (trx) => {
      const claimed = await takeCandidate(trx, workerId, leaseSeconds, waiting);
      if (claimed === undefined) return undefined;
      await beginOperation(trx, claimed);
      await appendEvents(trx, claimed.operation_id, claimed.attempt, [
        { type: 'status', data: { status: 'active', attempt: claimed.attempt } },
      ]);
      return claimed;
    });
  } catch (error) {
    // Another worker was quicker with another operation of the same agent: nothing to do now.
    if (violatedConstraint(error) === 'operations_one_active_per_agent') return undefined;
    throw error;
  }
}

/**
 * What the beginning of an attempt, wherever it is carried out, means for the agent's row.
 * @throws ConflictError
 */
export async function beginOperation(
  trx: Transaction,
  operation: Pick<OperationRow, 'kind' | 'agent_id'>,
): Promise<void> {
  const { kind, agent_id: agentId } = operation;
  // One that may not begin any more is refused where its work begins (attempt.ts).
  if (!mayBegin(kind, (await getAgent(trx, agentId)).status)) return;
  await findOperation(kind)?.begin?.(trx, agentId);
}

/**
 * The next operation of an executor that may run, locked with its agent. Concurrent callers get different
 * ones.
 */
export function nextDue(
  trx: Transaction,
  executor: OperationRow['executor'],
  waiting: readonly OperationKind[] = [],
): Promise<OperationRow | undefined> {
  return (
    trx
      .selectFrom('operations as o')
      .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
      .selectAll('o')
      .where('o.status', '=', 'queued')
      .where('o.executor', '=', executor)
      .$if(waiting.length > 0, (query) => query.where('o.kind', 'not in', waiting))
      .where(sql<boolean>`o.run_after <= now()`)
      .where(sql<boolean>`not exists (
      select 1 from operations p where p.agent_id = o.agent_id
        and (p.status = 'active' or (p.status = 'queued' and p.sequence < o.sequence)))`)
      .orderBy('o.priority', 'desc')
      .orderBy('o.sequence')
      .limit(1)
      // The agent as well, and neither is waited for: a request that holds the agent may want this very
      // operation's row.
      .forNoKeyUpdate(['o', 'a'])
      .skipLocked()
      .executeTakeFirst()
  );
}

async function takeCandidate(
  trx: Transaction,
  workerId: string,
  leaseSeconds: number,
  waiting: readonly OperationKind[],
): Promise<OperationRow | undefined> {
  const candidate = await nextDue(trx, 'local', waiting);
  if (candidate === undefined) return undefined;
  return beginOnWorker(trx, candidate, { workerId, leaseSeconds });
}

function leaseEnd(leaseSeconds: number) {
  return sql<Date>`now() + make_interval(secs => ${leaseSeconds})`;
}

/**
 * Makes the lease longer. @returns whether a person asked for the operation to end.
 * @throws LostError where the claim is gone.
 */
export async function renewLease(
  database: Database,
  claim: Claim,
  leaseSeconds = LEASE_SECONDS,
): Promise<{ cancelRequested: boolean }> {
  const row = await database
    .updateTable('operations')
    .set({ lease_until: leaseEnd(leaseSeconds), last_heartbeat_at: sql`now()`, updated_at: sql`now()` })
    .where('operation_id', '=', claim.operationId)
    .where('attempt', '=', claim.attempt)
    .where('worker_id', '=', claim.workerId)
    .where('status', '=', 'active')
    .returning('cancel_requested')
    .executeTakeFirst();
  if (row === undefined) throw lost(claim);
  return { cancelRequested: row.cancel_requested };
}

/**
 * The operation's row, locked, if the claim still holds. Every write of an attempt goes through here.
 * @throws LostError
 */
export async function lockClaim(trx: Transaction, claim: Claim): Promise<OperationRow> {
  // The agent before its operations, as requests lock them: one order, no deadlock.
  await trx
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '=', ({ selectFrom }) =>
      selectFrom('operations').select('agent_id').where('operation_id', '=', claim.operationId),
    )
    .forNoKeyUpdate()
    .execute();
  const row = await trx
    .selectFrom('operations')
    .selectAll()
    .where('operation_id', '=', claim.operationId)
    .where('attempt', '=', claim.attempt)
    .where('worker_id', '=', claim.workerId)
    .where('status', '=', 'active')
    .forNoKeyUpdate()
    .executeTakeFirst();
  if (row === undefined) throw lost(claim);
  return row;
}

/** Appends what an attempt has to tell. @throws LostError where the claim is gone. */
export async function recordEvents(
  database: Database,
  claim: Claim,
  events: OperationEvent[],
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await lockClaim(trx, claim);
    await appendEvents(trx, claim.operationId, claim.attempt, events);
  });
}

function lost(claim: Claim): LostError {
  return new LostError(`Attempt ${claim.attempt} of operation ${claim.operationId} is no longer ours`);
}
