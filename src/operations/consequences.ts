import { recordFailure } from '../agents/lifecycle.ts';
import type { Transaction } from '../database/connect.ts';
import type { Queue } from '../queue/queue.ts';
import type { Ending } from './definition.ts';
import { findOperation } from './registry.ts';
import { insertOperation } from './requests.ts';
import type { OperationRow } from './rows.ts';

/** While a runbook is at this step it has changed nothing at the clouds. */
const UNTOUCHED = 'preparing';

/** What it means for an agent that a person has cancelled an operation that may have begun. */
export async function afterCancel(trx: Transaction, queue: Queue, row: OperationRow): Promise<void> {
  const ending = { trx, queue, agentId: row.agent_id, error: `The ${row.kind} was cancelled` };
  const operation = findOperation(row.kind);
  if (operation?.cancel !== undefined) await operation.cancel(ending);
  // How far it came is unknown until the next health check.
  else await recordFailure(trx, row.agent_id, { error: ending.error, health: 'unknown' });
}

/** What the last failure of an operation means for its agent. */
export async function afterLastFailure(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, step }: { error: string; step: string },
): Promise<void> {
  const operation = findOperation(row.kind);
  if (operation?.lastFailure !== undefined)
    await operation.lastFailure({ trx, queue, agentId: row.agent_id, error, step });
  // Refused before anything was touched: that says nothing against the agent.
  else
    await recordFailure(trx, row.agent_id, { error, health: step === UNTOUCHED ? 'unknown' : 'unhealthy' });
}

/**
 * How long the service waits before it repeats what frees billed resources and has failed for the last time.
 */
const REPEAT_SECONDS = 600;

/** Queues the same again for later: something may still be billed. */
export async function repeatLater({ trx, queue, agentId }: Ending, kind: string): Promise<void> {
  await insertOperation(trx, queue, { agentId, kind, delaySeconds: REPEAT_SECONDS });
}
