import { audit } from '../agents/audit.ts';
import { type HoldReason, placeHold, REASONS_OF_PEOPLE, releaseHold } from '../agents/holds.ts';
import { markProtected } from '../agents/lifecycle.ts';
import { lockAgent } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError, InvalidInputError } from '../errors.ts';
import type { Queue } from '../queue/queue.ts';
import { followHolds, leavePayments } from './follow-holds.ts';
import type { OperationRow } from './rows.ts';

/** What a person requests about an agent's holds. */
export interface HoldRequest {
  agentId: string;
  reason: (typeof REASONS_OF_PEOPLE)[number];
  note?: string | undefined;
  actor: string;
}

/**
 * Places a hold that a person requests. One that is there already stays as it is.
 * @param at business time
 * @returns the operation that switches the agent off; undefined if none is needed, or not yet
 * @throws NotFoundError
 * @throws ConflictError if the agent is being destroyed
 */
export async function requestHold(
  trx: Transaction,
  queue: Queue,
  { agentId, reason, note, actor, at }: HoldRequest & { at: Date },
): Promise<OperationRow | undefined> {
  const { status } = await lockAgent(trx, agentId);
  if (status === 'destroying' || status === 'destroyed')
    throw new ConflictError(`Agent ${agentId} is ${status}; it can no longer be held`);
  await placeHold(trx, { agentId, reason, by: actor, at, note });
  return followHolds(trx, queue, agentId, { actor, withoutPause: true });
}

export interface ReleaseRequest extends Omit<HoldRequest, 'reason'> {
  reason: HoldReason;
  /** Whether the service itself places and releases the holds that payments demand; default: yes. */
  followsPayments?: boolean | undefined;
}

/**
 * Releases a hold that a person requests to release, and no other.
 * @returns the operation that switches the agent on; undefined if none is needed, or not yet
 * @throws NotFoundError
 * @throws InvalidInputError if the service itself releases it, once its cause is gone
 */
export async function requestRelease(
  trx: Transaction,
  queue: Queue,
  { agentId, reason, note, actor, followsPayments = true }: ReleaseRequest,
): Promise<OperationRow | undefined> {
  await lockAgent(trx, agentId);
  if (followsPayments && !REASONS_OF_PEOPLE.some((one) => one === reason))
    throw new InvalidInputError(
      `reason must be ${REASONS_OF_PEOPLE.join(' or ')}: the service itself releases a ${reason} hold`,
    );
  await releaseHold(trx, { agentId, reason, by: actor, note });
  return followHolds(trx, queue, agentId, { actor, request: leavePayments, withoutPause: true });
}

/**
 * Protects an agent from being destroyed by anyone, or lifts its protection.
 * @throws NotFoundError
 * @throws ConflictError if it is being destroyed
 */
export async function setProtection(
  trx: Transaction,
  { agentId, isProtected, actor }: { agentId: string; isProtected: boolean; actor: string },
): Promise<void> {
  const agent = await lockAgent(trx, agentId);
  if (agent.protected === isProtected) return;
  if (agent.status === 'destroying' || agent.status === 'destroyed')
    throw new ConflictError(`Agent ${agentId} is ${agent.status}; it can no longer be protected`);
  await markProtected(trx, agentId, isProtected);
  await audit(trx, { actor, action: isProtected ? 'agent.protect' : 'agent.unprotect', agentId });
}
