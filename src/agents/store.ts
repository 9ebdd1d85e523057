import { type Selectable, sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { AgentTable } from '../database/tables.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import { chosenProject, lockPlacement, whyNowhere } from '../projects/placement.ts';
import { forgetHolds } from './holds.ts';
import { parseRecordedInputs, type RecordedInputs } from './inputs.ts';
import { move, moveAll, write } from './move.ts';
import { type AgentOutputs, outputColumns } from './outputs.ts';
import { type AgentStatus, type AgentStep, type Health, LIVE_STATUSES } from './states.ts';

export interface NewAgent {
  agentId: string;
  userId: string;
  region: string;
  location: string;
  plan: string;
  subscriptionId?: string | undefined;
}

/** An agent's row, with its inputs as `parseRecordedInputs` reads them. */
export type AgentRow = Omit<StoredAgent, 'inputs'> & { inputs: RecordedInputs | null };

type StoredAgent = Selectable<AgentTable>;

export const toAgentRow = (row: StoredAgent): AgentRow => ({
  ...row,
  inputs: parseRecordedInputs(row.inputs),
});

/**
 * Inserts a new agent in state `requested`, in the Hetzner project that takes it. It stays there, unless that
 * one turns out to be full before the agent has a server.
 * @throws ConflictError if the id is taken: ids are never reused, even after their agent is destroyed
 * @throws NoProjectError
 */
export async function insertAgent(database: Database, agent: NewAgent): Promise<void> {
  const { agentId, userId, region, location, plan, subscriptionId = null } = agent;
  await lockPlacement(database, location);
  // A violated constraint would abort the caller's transaction, which still has to record the conflict.
  const { numAffectedRows } = await sql`
    insert into agents (agent_id, user_id, region, location, plan, subscription_id, step, project)
    select ${agentId}, ${userId}, ${region}, ${location}, ${plan}, ${subscriptionId}, 'queued', chosen.name
    from (${chosenProject(location)}) chosen on conflict (agent_id) do nothing`.execute(database);
  if (numAffectedRows === 0n) throw await whyNotInserted(database, agent);
}

async function whyNotInserted(database: Database, { agentId, location }: NewAgent): Promise<ConflictError> {
  const agent = await findAgent(database, agentId);
  if (agent === undefined) return new NoProjectError(await whyNowhere(database, location));
  return new ConflictError(whyTaken(agent));
}

/** No Hetzner project takes an agent in its location. */
export class NoProjectError extends ConflictError {
  override name = 'NoProjectError';
}

/** Why the id of this agent cannot be used again. */
export function whyTaken({ agent_id: agentId, status }: AgentRow): string {
  return status === 'destroyed'
    ? `The id ${agentId} was used by an agent that is destroyed; an id is never used again`
    : `An agent ${agentId} exists already`;
}

export async function findAgent(database: Database, agentId: string): Promise<AgentRow | undefined> {
  const row = await database
    .selectFrom('agents')
    .selectAll()
    .where('agent_id', '=', agentId)
    .executeTakeFirst();
  return row && toAgentRow(row);
}

/** @throws NotFoundError */
export async function getAgent(database: Database, agentId: string): Promise<AgentRow> {
  const agent = await findAgent(database, agentId);
  if (agent === undefined) throw new NotFoundError(`There is no agent ${agentId}`);
  return agent;
}

/** Returns the agent's row, locked until the transaction ends. @throws NotFoundError */
export async function lockAgent(trx: Transaction, agentId: string): Promise<AgentRow> {
  const agent = await trx
    .selectFrom('agents')
    .selectAll()
    .where('agent_id', '=', agentId)
    .forUpdate()
    .executeTakeFirst();
  if (agent === undefined) throw new NotFoundError(`There is no agent ${agentId}`);
  return toAgentRow(agent);
}

/** Returns a page of agents, newest first. `cursor` is the `nextCursor` of the previous page. */
export async function listAgents(
  database: Database,
  page: { status?: AgentStatus | undefined; cursor?: AgentCursor | undefined; limit: number },
): Promise<AgentRow[]> {
  let query = database
    .selectFrom('agents')
    .selectAll()
    .orderBy('created_at', 'desc')
    .orderBy('agent_id')
    .limit(page.limit);
  if (page.status !== undefined) query = query.where('status', '=', page.status);
  if (page.cursor !== undefined) {
    // Compare with the row's own time: a JavaScript date would lose Postgres's microseconds.
    const { agentId } = page.cursor;
    query = query.where(
      sql<boolean>`exists (select 1 from agents last where last.agent_id = ${agentId}
        and (agents.created_at < last.created_at
          or (agents.created_at = last.created_at and agents.agent_id > last.agent_id)))`,
    );
  }
  return (await query.execute()).map(toAgentRow);
}

/** The last agent of the previous page. Agents are never deleted, so its row is always there. */
export interface AgentCursor {
  agentId: string;
}

/** Provisions or their next attempts begin: `requested`, `failed` or `provisioning` → `provisioning`. */
export async function beginProvisions(trx: Transaction, agentIds: readonly string[]): Promise<void> {
  await moveAll(trx, agentIds, { by: 'provision begins', orStays: true }, { step: 'queued', error: null });
}

/** Records a provision's step on the agent. No effect unless the agent is being provisioned. */
export async function setAgentStep(trx: Transaction, agentId: string, step: AgentStep): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ step, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'provisioning')
    .execute();
}

/** Provisions succeeded: `provisioning` → `running`, with their outputs. @throws ConflictError */
export async function markRunning(
  trx: Transaction,
  agents: readonly { agentId: string; outputs: AgentOutputs }[],
): Promise<void> {
  const names = Object.keys(outputColumns(null));
  const outputs = agents.map((one) => ({ agent_id: one.agentId, ...outputColumns(one.outputs) }));
  const given = sql`jsonb_to_recordset(${jsonText(outputs)}::jsonb) as given (agent_id text, ${sql.join(
    names.map((name) => sql`${sql.ref(name)} text`),
  )})`;
  const columns = {
    ...Object.fromEntries(names.map((name) => [name, sql.ref(`given.${name}`)])),
    ...{ step: 'running', health: 'healthy', error: null },
  };
  const ids = agents.map(({ agentId }) => agentId);
  await moveAll(trx, ids, { by: 'provision succeeds' }, columns, given);
}

/** A provision failed for the last time or was cancelled before it began. @throws ConflictError */
export async function markFailed(trx: Transaction, agentId: string, error: string): Promise<void> {
  const by = ['provision fails for the last time', 'provision is cancelled'] as const;
  await move(trx, agentId, { by }, { error, rollback_error: null, health: 'unknown' });
}

/** Records why a failed provision's resources may still exist and be billed. No effect in other states. */
export async function recordRollbackFailure(trx: Transaction, agentId: string, error: string): Promise<void> {
  await write(trx, agentId, { rollback_error: error }, ['failed']);
}

/**
 * Everything billed of a failed agent is gone. Clears its addresses and keys, which no longer belong to
 * anything; the next provision creates new ones.
 */
export async function markRolledBack(trx: Transaction, agentId: string): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ ...outputColumns(null), secrets: null, rollback_error: null, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'failed')
    .execute();
}

/** Records the outputs and the health that a refresh found, without changing the status. */
export async function recordRefresh(
  trx: Transaction,
  agentId: string,
  found: { outputs: AgentOutputs; health: Health },
): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ ...outputColumns(found.outputs), health: found.health, error: null, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/** Records the outputs of a stack that an agent has adopted, without changing its status or its health. */
export async function recordAdopted(trx: Transaction, agentId: string, outputs: AgentOutputs): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ ...outputColumns(outputs), updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', 'in', [...LIVE_STATUSES])
    .execute();
}

/** Records that the server is gone or does not answer, and why, without changing the status. */
export async function recordUnhealthy(trx: Transaction, agentId: string, error: string): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ health: 'unhealthy', error, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}

/** A destroy is requested: any state but `destroyed` → `destroying`. @throws ConflictError */
export async function markDestroying(trx: Transaction, agentId: string): Promise<void> {
  await move(trx, agentId, { by: 'destroy is requested' }, { step: null });
}

/**
 * Records why a destroy has not succeeded yet. The agent stays `destroying`, and the operation is retried.
 */
export async function recordDestroyFailure(trx: Transaction, agentId: string, error: string): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ error, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'destroying')
    .execute();
}

/**
 * Everything of the agent is gone: `destroying` → `destroyed`, which is final. Deletes secrets, inputs and
 * holds.
 * @throws ConflictError
 */
export async function markDestroyed(trx: Transaction, agentId: string): Promise<void> {
  const nothing = {
    step: null,
    health: 'unknown',
    error: null,
    inputs: null,
    secrets: null,
    snapshot_id: null,
  };
  await move(trx, agentId, { by: 'destroy succeeds' }, { ...outputColumns(null), ...nothing });
  await forgetHolds(trx, agentId);
}
