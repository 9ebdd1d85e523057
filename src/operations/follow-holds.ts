import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { findStoppingHolds, type HoldReason } from '../agents/holds.ts';
import type { AgentStatus } from '../agents/states.ts';
import { getAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import { askToEnd, cancelQueued } from './endings.ts';
import { lockExclusive, onlyWaits } from './give-way.ts';
import { exclusiveKinds, findOperation } from './registry.ts';
import { insertOperation, overtakeWaiting } from './requests.ts';
import type { OperationRow } from './rows.ts';

/** The pause before a change that has failed for the last time is queued again. */
export const FAILED_CHANGE_PAUSE_SECONDS = 600;

/** An operation that brings an agent in line with its holds. */
export interface HoldChange {
  agentId: string;
  kind: 'suspend' | 'resume' | 'wake' | 'hibernate';
  /** The reasons of the holds that switch the agent off; empty for `resume` and `wake`. */
  reasons: readonly HoldReason[];
  actor: string;
}

/** Requests a change. @returns its operation; undefined if it has to wait */
export type RequestHoldChange = (
  trx: Transaction,
  queue: Queue,
  change: HoldChange,
) => Promise<OperationRow | undefined>;

/** Queues a change at once. What only waits gives way to it. */
export const queueHoldChange: RequestHoldChange = async (trx, queue, { agentId, kind, reasons, actor }) => {
  await overtakeWaiting(trx, queue, { agentId, kind, actor });
  const operation = await insertOperation(trx, queue, { agentId, kind });
  await audit(trx, {
    actor,
    action: `agent.${kind}`,
    agentId,
    operationId: operation.operation_id,
    details: { holds: reasons },
  });
  return operation;
};

/**
 * Leaves a suspension for want of payment alone to the loop in src/reconcile: the service wants it by itself,
 * so it may have to wait. Queues any other change at once.
 */
export const leavePayments: RequestHoldChange = async (trx, queue, change) => {
  const isForPayment = change.kind === 'suspend' && change.reasons.every((reason) => reason === 'payment');
  return isForPayment ? undefined : queueHoldChange(trx, queue, change);
};

/**
 * Brings an agent in line with its holds: a held one is suspended, one without holds resumes or wakes. While
 * another exclusive operation is under way nothing is queued: its end calls this function again. One that
 * only waits is cancelled once a suspension is queued. Repeating it changes nothing. The caller has locked
 * the agent.
 * @param options `request`: how a change is requested, by default queued at once. `withoutPause`: queue a
 * change that has just failed again, e.g. because a person has asked for it.
 * @returns the operation that leads there, whether it was queued now or before; undefined if there is none
 */
export async function followHolds(
  trx: Transaction,
  queue: Queue,
  agentId: string,
  options: { actor: string; request?: RequestHoldChange; withoutPause?: boolean },
): Promise<OperationRow | undefined> {
  const { actor, request = queueHoldChange, withoutPause = false } = options;
  const reasons = (await findStoppingHolds(trx, agentId)).map(({ reason }) => reason);
  const isHeld = reasons.length > 0;
  const [underWay] = await lockExclusive(trx, agentId);
  if (underWay !== undefined) {
    if (!isHeld) await endOnRelease(trx, underWay);
    if (isOutdated(underWay, isHeld)) await endOutdated(trx, queue, underWay);
    // What only waits ends when a suspension is queued, which may have to wait for a breaker itself.
    else if (!(isHeld && onlyWaits(underWay))) return leadsTo(underWay, isHeld) ? underWay : undefined;
  }
  const { status } = await getAgent(trx, agentId);
  const last = await findLastBegun(trx, agentId);
  const kind = decideChange(status, { isHeld, last });
  // A version without this kind cannot run it.
  if (kind === undefined || findOperation(kind) === undefined) return undefined;
  if (last?.kind === kind && last.hasJustFailed && !withoutPause) return undefined;
  return request(trx, queue, { agentId, kind, reasons: isHeld ? reasons : [], actor });
}

/** The agent's latest exclusive operation that began and has ended. */
export interface LastOperation {
  kind: string;
  hasSucceeded: boolean;
}

/**
 * Decides which change an agent needs. After an operation that did not succeed, its server may be on or off,
 * whatever its status says.
 */
export function decideChange(
  status: AgentStatus,
  { isHeld, last }: { isHeld: boolean; last: LastOperation | undefined },
): HoldChange['kind'] | undefined {
  const failed = last === undefined || last.hasSucceeded ? undefined : last.kind;
  if (isHeld) {
    if (status === 'running' || status === 'stopped') return 'suspend';
    // A wake that did not succeed may have left a server beside the snapshot.
    if (status === 'hibernated') return failed === 'wake' ? 'hibernate' : undefined;
    const mayBeOn =
      failed === 'suspend' || (failed !== undefined && findOperation(failed)?.runsAgent === true);
    return status === 'suspended' && mayBeOn ? 'suspend' : undefined;
  }
  if (status === 'suspended') return 'resume';
  if (status === 'hibernated') return 'wake';
  const mayBeOff = failed === 'suspend' || failed === 'resume';
  return status === 'running' && mayBeOff ? 'resume' : undefined;
}

/** Whether an operation under way leads to the state that the holds demand. */
function leadsTo({ kind }: OperationRow, isHeld: boolean): boolean {
  const { followsHolds = false, runsAgent = false } = findOperation(kind) ?? {};
  return followsHolds && runsAgent !== isHeld;
}

/** Asks an operation at work to end that a release makes pointless. Its end calls `followHolds` again. */
async function endOnRelease(trx: Transaction, operation: OperationRow): Promise<void> {
  const { kind, status, cancel_requested: isEnding, operation_id: operationId } = operation;
  if (status === 'active' && !isEnding && findOperation(kind)?.endsOnRelease)
    await askToEnd(trx, operationId);
}

/** Whether it only waits, and leads away from the state that the holds demand. */
function isOutdated({ kind, status }: OperationRow, isHeld: boolean): boolean {
  const { followsHolds = false, runsAgent = false } = findOperation(kind) ?? {};
  return followsHolds && runsAgent === isHeld && status === 'queued';
}

async function endOutdated(trx: Transaction, queue: Queue, operation: OperationRow): Promise<void> {
  const { kind, agent_id: agentId, attempt } = operation;
  await cancelQueued(trx, operation);
  // An earlier attempt may have left something half done.
  const error = `The ${kind} was cancelled: the agent's holds have changed`;
  if (attempt > 0) await findOperation(kind)?.cancel?.({ trx, queue, agentId, error });
}

async function findLastBegun(
  trx: Transaction,
  agentId: string,
): Promise<(LastOperation & { hasJustFailed: boolean }) | undefined> {
  return trx
    .selectFrom('operations')
    .select([
      'kind',
      sql<boolean>`status = 'succeeded'`.as('hasSucceeded'),
      sql<boolean>`status = 'failed' and finished_at > clock_timestamp() - make_interval(secs => ${FAILED_CHANGE_PAUSE_SECONDS})`.as(
        'hasJustFailed',
      ),
    ])
    .where('agent_id', '=', agentId)
    .where('kind', 'in', exclusiveKinds())
    .where('attempt', '>', 0)
    .where('finished_at', 'is not', null)
    .orderBy('finished_at', 'desc')
    .limit(1)
    .executeTakeFirst();
}
