import type { Transaction } from '../database/connect.ts';
import { move, stay, write } from './move.ts';
import { type AgentOutputs, outputColumns } from './outputs.ts';
import type { Health } from './states.ts';

/** The transitions of an agent between its provision and its destroy. */

/** A stop or its next attempt begins: `running` or `stopping` → `stopping`. @throws ConflictError */
export async function beginStop(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'stop begins', orStays: true }, { health: 'unknown' });
}

/** The server is off and everything is kept: `stopping` → `stopped`. @throws ConflictError */
export async function markStopped(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'stop succeeds' }, { health: 'unknown', error: null });
}

/** A stop failed for the last time or was cancelled: `stopping` → `running`, with unknown health. */
export async function markStopFailed(trx: Transaction, agentId: string, error: string): Promise<void> {
  await move(trx, agentId, { by: 'stop fails for the last time' }, { health: 'unknown', error });
}

/** The agent answers again: `stopped` → `running`. @throws ConflictError */
export async function markStarted(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'start succeeds' }, { health: 'healthy', error: null });
}

/** The agent answers again after a restart and stays `running`. @throws ConflictError */
export async function markRestarted(trx: Transaction, agentId: string): Promise<void> {
  await stay(trx, agentId, 'running', { health: 'healthy', error: null });
}

/** The agent was reconfigured, is healthy and stays `running`. @throws ConflictError */
export async function markReconfigured(
  trx: Transaction,
  agentId: string,
  outputs: AgentOutputs,
): Promise<void> {
  await stay(trx, agentId, 'running', { ...outputColumns(outputs), health: 'healthy', error: null });
}

/** The agent has changed its plan, is healthy and stays `running`. @throws ConflictError */
export async function markResized(
  trx: Transaction,
  agentId: string,
  { outputs, plan }: { outputs: AgentOutputs; plan: string },
): Promise<void> {
  await stay(trx, agentId, 'running', {
    ...outputColumns(outputs),
    plan,
    health: 'healthy',
    error: null,
  });
}

/**
 * The agent was reinstalled and is healthy: `running` or `stopped` → `running`, with its current addresses.
 * @throws ConflictError
 */
export async function markRebuilt(trx: Transaction, agentId: string, outputs: AgentOutputs): Promise<void> {
  const columns = { ...outputColumns(outputs), health: 'healthy', error: null };
  await move(trx, agentId, { by: 'rebuild succeeds', orStays: true }, columns);
}

/** Sets the health to unknown while the server restarts or is reinstalled. No effect in other states. */
export async function forgetHealth(trx: Transaction, agentId: string): Promise<void> {
  await write(trx, agentId, { health: 'unknown' }, ['running', 'stopped']);
}

/**
 * Records why an operation failed, without changing the state. `health` applies to a running agent until its
 * next check.
 */
export async function recordFailure(
  trx: Transaction,
  agentId: string,
  { error, health }: { error: string; health: Health },
): Promise<void> {
  await write(trx, agentId, { error, health }, ['running']);
  await write(trx, agentId, { error }, ['stopped']);
}
