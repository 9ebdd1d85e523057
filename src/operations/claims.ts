import { sql } from 'kysely';
import { getAgent } from '../agents/store.ts';
import { LEASE_SECONDS } from '../config/timing.ts';
import { type Database, type Transaction, violatedConstraint } from '../database/connect.ts';
import { recovering } from '../database/recovering.ts';
import { LostError } from '../errors.ts';
import { wasJustClaimed } from '../slots/claim.ts';
import { appendEvents, type OperationEvent } from './events/events.ts';
import { isPassedBy } from './give-way.ts';
import { adoptingKinds, findOperation, mayBegin } from './registry.ts';
import type { OperationRow } from './rows.ts';
import type { OperationKind } from './states.ts';
import { beginOnWorker } from './transitions.ts';

export type { OperationRow } from './rows.ts';

/** The attempt that a worker holds. Each of its writes is conditional on all three fields. */
export interface Claim {
  operationId: string;
  attempt: number;
  workerId: string;
}

/** What a worker does not claim now. */
export interface Waiting {
  kinds: readonly OperationKind[];
  /** The Hetzner projects whose agents' operations wait. */
  projects: readonly string[];
  /** Those that it has: what is in any other waits too. Undefined: it has all. */
  ownProjects?: readonly string[] | undefined;
}

const NOTHING: Waiting = { kinds: [], projects: [] };

/**
 * Claims the next operation that may run: the highest priority first, then the oldest. An operation waits
 * while its agent has an active one or an older queued one that it does not pass (`isPassedBy`), and while
 * `waitsForNews`. A claim increments the attempt and starts a lease. Concurrent callers get different
 * operations. What is in `waiting` is skipped.
 */
export async function claimNext(
  database: Database,
  workerId: string,
  leaseSeconds = LEASE_SECONDS,
  waiting: Waiting = NOTHING,
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
    // Another worker has just claimed an operation of the same agent.
    if (violatedConstraint(error) === 'operations_one_active_per_agent') return undefined;
    throw error;
  }
}

/**
 * Updates the agent's row when an attempt begins, on a worker or a runner.
 * @throws ConflictError
 */
export async function beginOperation(
  trx: Transaction,
  operation: Pick<OperationRow, 'kind' | 'agent_id' | 'operation_id'>,
): Promise<void> {
  const { kind, agent_id: agentId, operation_id: own } = operation;
  // runbookFor() refuses an operation that may no longer begin.
  if (!mayBegin(kind, (await getAgent(trx, agentId)).status)) return;
  await findOperation(kind)?.begin?.(trx, agentId, own);
}

/**
 * Whether operation `o` has to wait because something about its agent's payments is recorded and Stripe was
 * not asked since: a suspension or hibernation that the service itself wants does not begin then. One that
 * has begun goes on to a state that is known.
 */
export const waitsForNews = sql<boolean>`(o.kind in ('suspend', 'hibernate') and o.started_at is null
  and exists (select 1 from subscriptions s where s.agent_id = o.agent_id and s.signals > s.seen_signals)
  and exists (select 1 from changes c where c.operation_id = o.operation_id))`;

/** An adoption lets the hand-overs of other agents go first, but never for longer than this. */
const MOST_YIELD_SECONDS = 60;

/** Whether operation `o` has to wait because its processor time is needed by orders that claim slots now. */
const yields = () => sql<boolean>`(o.kind = any(${adoptingKinds()}::text[]) and ${wasJustClaimed}
  and o.run_after > now() - make_interval(secs => ${MOST_YIELD_SECONDS}))`;

/** The executor's next operation, locked together with its agent. Concurrent callers get different ones. */
export function nextDue(
  trx: Transaction,
  executor: OperationRow['executor'],
  { kinds, projects, ownProjects }: Waiting = NOTHING,
): Promise<OperationRow | undefined> {
  return (
    trx
      .selectFrom('operations as o')
      .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
      .selectAll('o')
      .where('o.status', '=', 'queued')
      .where('o.executor', '=', executor)
      .$if(kinds.length > 0, (query) => query.where('o.kind', 'not in', kinds))
      .$if(projects.length > 0, (query) => query.where('a.project', 'not in', projects))
      .$if(ownProjects !== undefined, (query) => query.where('a.project', 'in', ownProjects ?? []))
      .where(sql<boolean>`o.run_after <= now()`)
      .where(sql<boolean>`not exists (
      select 1 from operations p where p.agent_id = o.agent_id
        and (p.status = 'active' or (p.status = 'queued' and p.sequence < o.sequence
          and not ${isPassedBy('p')})))`)
      .where(sql<boolean>`not ${yields()}`)
      .where(sql<boolean>`not ${recovering}`)
      // One that was dispatched can still be given up.
      .where(sql<boolean>`(o.dispatched_at is not null or not ${waitsForNews})`)
      .orderBy('o.priority', 'desc')
      .orderBy('o.sequence')
      .limit(1)
      // Lock the agent too, and skip instead of waiting: a request that holds the agent may be about to lock
      // this operation's row.
      .forNoKeyUpdate(['o', 'a'])
      .skipLocked()
      .executeTakeFirst()
  );
}

async function takeCandidate(
  trx: Transaction,
  workerId: string,
  leaseSeconds: number,
  waiting: Waiting,
): Promise<OperationRow | undefined> {
  const candidate = await nextDue(trx, 'local', waiting);
  if (candidate === undefined) return undefined;
  return beginOnWorker(trx, candidate, { workerId, leaseSeconds });
}

function leaseEnd(leaseSeconds: number) {
  return sql<Date>`now() + make_interval(secs => ${leaseSeconds})`;
}

/**
 * Extends the lease.
 * @returns whether cancellation was requested
 * @throws LostError if the claim no longer holds
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
 * Locks and returns the operation's row. All writes of an attempt go through this check.
 * @throws LostError if the claim no longer holds
 */
export async function lockClaim(trx: Transaction, claim: Claim): Promise<OperationRow> {
  // The agent first, then its operation: the same lock order as requests, so they cannot deadlock.
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

/**
 * Locks the rows of several attempts with their agents. Those that somebody else has locked are left out, and
 * so are those whose claims no longer hold.
 */
export function lockClaims(trx: Transaction, claims: readonly Claim[]): Promise<OperationRow[]> {
  const ids = claims.map(({ operationId }) => operationId);
  const attempts = claims.map(({ attempt }) => attempt);
  const workers = claims.map(({ workerId }) => workerId);
  return trx
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .selectAll('o')
    .where(
      sql<boolean>`(o.operation_id, o.attempt, o.worker_id) in (
        select * from unnest(${ids}::uuid[], ${attempts}::int[], ${workers}::text[]))`,
    )
    .where('o.status', '=', 'active')
    .forNoKeyUpdate(['o', 'a'])
    .skipLocked()
    .execute();
}

/**
 * Writes for an attempt in a transaction that locks its claim.
 * @throws LostError if the claim no longer holds
 */
export async function whileHeld(
  database: Database,
  { operation_id: operationId, attempt, worker_id: workerId }: OperationRow,
  write: (trx: Transaction) => Promise<unknown>,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await lockClaim(trx, { operationId, attempt, workerId: workerId ?? '' });
    await write(trx);
  });
}

/** Appends an attempt's events. @throws LostError if the claim no longer holds */
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
