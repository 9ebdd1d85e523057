import { placeHold, releaseHold } from '../../src/agents/holds.ts';
import { lockAgent } from '../../src/agents/store.ts';
import type { HoldReason } from '../../src/database/vocabulary.ts';
import { followHolds, type RequestHoldChange } from '../../src/operations/follow-holds.ts';
import type { OperationRow } from '../../src/operations/rows.ts';
import type { OperationsFixture } from './operations-fixture.ts';

type Options = { withoutPause?: boolean; request?: RequestHoldChange };

/** Follows the holds of an agent, as whoever changes them does. */
export function follow(
  { database, queue }: OperationsFixture,
  agentId: string,
  options: Options = {},
): Promise<OperationRow | undefined> {
  return database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    return followHolds(trx, queue, agentId, { actor: 'test', ...options });
  });
}

/** Places a hold and follows it, in one transaction. */
export function hold(
  { database, queue }: OperationsFixture,
  agentId: string,
  reason: HoldReason = 'abuse',
): Promise<OperationRow | undefined> {
  return database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    await placeHold(trx, { agentId, reason, by: 'test', at: new Date('2027-01-31T10:00:00Z') });
    return followHolds(trx, queue, agentId, { actor: 'test' });
  });
}

/** Releases a hold and follows that, in one transaction. */
export function release(
  { database, queue }: OperationsFixture,
  agentId: string,
  reason: HoldReason = 'abuse',
): Promise<OperationRow | undefined> {
  return database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    await releaseHold(trx, { agentId, reason, by: 'test' });
    return followHolds(trx, queue, agentId, { actor: 'test' });
  });
}
