import { ShortageError } from '../../src/errors.ts';
import type { Claim } from '../../src/operations/claims.ts';
import { settleFailure } from '../../src/operations/settle.ts';
import { createSlotParts } from '../../src/operations/slot-parts.ts';
import { claim, type OperationsFixture, operation, order } from './operations-fixture.ts';
import { prepareAttempt } from './runbook-fixture.ts';

/** Asks for room, as an attempt that has found its project full. @returns whether it may wait */
export async function askForRoom(at: OperationsFixture, operationId: string): Promise<boolean> {
  const { run } = await prepareAttempt(at, await operation(at, operationId));
  const handOver = async () => {
    throw new Error('Nothing is handed over');
  };
  return createSlotParts(at.database, handOver).makeRoom(run);
}

/** Orders an agent and begins its provision. */
export async function begin(at: OperationsFixture, agentId: string): Promise<Claim> {
  const { operation_id: operationId } = await order(at, agentId);
  const taken = await claim(at);
  if (taken.row.operation_id !== operationId) throw new Error('Another operation was claimed');
  return taken.claim;
}

/** Queues an attempt again that waits for room. */
export const queueForRoom = (at: OperationsFixture, mine: Claim) =>
  settleFailure(at, mine, { error: new ShortageError('It is full'), step: 'creating_server' });

/** An order whose provision waits for room. @returns its operation's id */
export async function orderWithoutRoom(at: OperationsFixture, agentId: string): Promise<string> {
  const mine = await begin(at, agentId);
  await askForRoom(at, mine.operationId);
  await queueForRoom(at, mine);
  return mine.operationId;
}
