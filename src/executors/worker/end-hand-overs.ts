import { type Database, isDatabaseUnavailable, type Transaction } from '../../database/connect.ts';
import { CancelledError, ConflictError, errorMessage, LostError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { lockClaim, lockClaims, type OperationRow } from '../../operations/claims.ts';
import { appendQueuedAgain } from '../../operations/events/events.ts';
import { settleLocked } from '../../operations/settle.ts';
import { returnToQueue } from '../../operations/transitions.ts';
import type { Queue } from '../../queue/queue.ts';
import { succeedServed } from '../../runbooks/steps/served.ts';
import { giveSlotUp } from '../../slots/claimed.ts';
import { NOT_HANDED_OVER } from '../../slots/failures.ts';
import type { Begun } from './begin-hand-overs.ts';

/** A hand-over whose server has its agent. */
type Done = Begun & { outputs: Begun['slot']['outputs'] };

export interface EndDeps {
  database: Database;
  queue: Queue;
  log: Log;
}

/**
 * Ends hand-overs in one transaction: their agents run. If that fails, and for those that somebody else has
 * locked or that are cancelled, each in its own. One that is lost changes nothing.
 * @throws only if the database is unavailable; repeating it then changes nothing twice
 */
export async function settleHandOvers(deps: EndDeps, done: readonly Done[]): Promise<void> {
  const settled = await settleTogether(deps, done).catch((error: unknown) => {
    if (isDatabaseUnavailable(error)) throw error;
    return new Set<string>();
  });
  for (const one of done) {
    if (!settled.has(one.claim.operationId) && !(await settleAlone(deps, one))) continue;
    const { claim, agentId, outputs } = one;
    deps.log.info(
      { event: 'slot.served', operationId: claim.operationId, agentId, slotServer: outputs.serverId },
      `${agentId} runs on a server that waited`,
    );
  }
}

/** @returns the operations that it has settled */
async function settleTogether({ database, queue }: EndDeps, done: readonly Done[]): Promise<Set<string>> {
  return database.transaction().execute(async (trx) => {
    const rows = await lockClaims(
      trx,
      done.map(({ claim }) => claim),
    );
    const served = done.flatMap(({ claim, outputs }) =>
      rows
        .filter((row) => row.operation_id === claim.operationId && !row.cancel_requested)
        .map((row) => ({ row, outputs })),
    );
    if (served.length > 0) await succeedServed(trx, queue, served);
    return new Set(served.map(({ row }) => row.operation_id));
  });
}

/** A server that can never be this agent's is given up. @returns whether the agent runs now */
async function settleAlone(deps: EndDeps, one: Done): Promise<boolean> {
  try {
    return await succeedAlone(deps, one);
  } catch (error) {
    if (!(error instanceof ConflictError)) return tellUnsettled(deps, one, error);
    await goCold(deps, one, error).catch((failure: unknown) => tellUnsettled(deps, one, failure));
    return false;
  }
}

function tellUnsettled({ log }: EndDeps, { agentId }: Done, error: unknown): false {
  if (isDatabaseUnavailable(error)) throw error;
  if (!(error instanceof LostError))
    log.warn(
      { event: 'hand_over.failed', agentId, error: errorMessage(error) },
      'could not hand a server over',
    );
  return false;
}

function succeedAlone({ database, queue }: EndDeps, { claim, agentId, outputs }: Done): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    if (row.cancel_requested) {
      await giveSlotUp(trx, agentId, 'the provision of the agent that had claimed it was cancelled');
      await settleCancelled(trx, queue, row);
      return false;
    }
    await succeedServed(trx, queue, [{ row, outputs }]);
    return true;
  });
}

async function settleCancelled(trx: Transaction, queue: Queue, row: OperationRow): Promise<void> {
  await settleLocked(trx, queue, row, { error: new CancelledError('Cancelled'), step: 'handing_over' });
}

/** The slot failed its claim: it is removed, and the order gets a server of its own, at once. */
export async function goCold(deps: EndDeps, begun: Begun, error: unknown): Promise<void> {
  const { agentId, slot } = begun;
  const why = `The server that waited could not be handed over: ${errorMessage(error)}`;
  await queueAgain(deps, begun, {
    line: `${why}. Making one`,
    before: (trx) => giveSlotUp(trx, agentId, why, NOT_HANDED_OVER),
  });
  deps.log.warn({ event: 'slot.failed', agentId, slotId: slot.slotId, error: why }, why);
}

/**
 * This worker has lost its own way to the servers: the slot stays its agent's, and the next attempt, another
 * worker's, hands it over with the recorded keys. No try counts.
 */
export async function leaveToOthers(deps: EndDeps, begun: Begun, error: unknown): Promise<void> {
  const { agentId, slot } = begun;
  const why = `This worker cannot reach servers, and leaves the hand-over to another: ${errorMessage(error)}`;
  await queueAgain(deps, begun, { line: why });
  deps.log.warn({ event: 'hand_over.left', agentId, slotId: slot.slotId, error: why }, why);
}

/** Makes the provision due at once, or ends it if it was cancelled. */
async function queueAgain(
  { database, queue }: EndDeps,
  { claim, agentId }: Begun,
  { line, before }: { line: string; before?: (trx: Transaction) => Promise<unknown> },
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    await before?.(trx);
    if (row.cancel_requested) {
      await giveSlotUp(trx, agentId, 'the provision of the agent that had claimed it was cancelled');
      return settleCancelled(trx, queue, row);
    }
    await returnToQueue(trx, row);
    await appendQueuedAgain(trx, claim, { line });
    await queue.announce(trx, { operationId: claim.operationId, agentId });
  });
}
