import { sql } from 'kysely';
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

/**
 * The agent has changed its plan, is healthy and stays `running`. A plan that the service itself did not want
 * is a person's choice.
 * @throws ConflictError
 */
export async function markResized(
  trx: Transaction,
  agentId: string,
  { outputs, plan }: { outputs: AgentOutputs; plan: string },
  operationId: string,
): Promise<void> {
  const automatic = await trx
    .selectFrom('changes')
    .select('change_id')
    .where('operation_id', '=', operationId)
    .executeTakeFirst();
  await stay(trx, agentId, 'running', {
    ...outputColumns(outputs),
    plan,
    plan_chosen_at: automatic === undefined ? sql<Date>`now()` : null,
    plan_chosen_prices: null,
    health: 'healthy',
    error: null,
  });
}

/**
 * The agent was reinstalled and is healthy: `running`, `stopped` or `suspended` → `running`, with its current
 * addresses.
 * @throws ConflictError
 */
export async function markRebuilt(trx: Transaction, agentId: string, outputs: AgentOutputs): Promise<void> {
  const columns = { ...outputColumns(outputs), health: 'healthy', error: null };
  await move(trx, agentId, { by: 'rebuild succeeds', orStays: true }, columns);
}

/**
 * The server is off because of a hold, and everything is kept: `running` or `stopped` → `suspended`. A
 * suspended agent that is switched off again stays so.
 * @throws ConflictError
 */
export async function markSuspended(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'suspend succeeds', orStays: true }, { health: 'unknown', error: null });
}

/**
 * Nothing holds the agent and it answers again: `suspended` → `running`. A running agent that was half
 * suspended stays so.
 * @throws ConflictError
 */
export async function markResumed(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'resume succeeds', orStays: true }, { health: 'healthy', error: null });
}

/** Sets the plan of an agent that no attempt has begun to create. @returns whether it was one */
export function setRequestedPlan(trx: Transaction, agentId: string, plan: string): Promise<boolean> {
  return write(trx, agentId, { plan }, ['requested']);
}

/** Protects the agent from being destroyed, or lifts that. The caller has locked it. */
export async function markProtected(trx: Transaction, agentId: string, isProtected: boolean): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ protected: isProtected, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
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
  await write(trx, agentId, { error }, ['stopped', 'suspended', 'hibernated']);
}
