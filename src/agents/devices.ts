import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';

/**
 * Reserves a join name for the agent forever, so that a device that joins under it can always be attributed.
 * @throws ConflictError
 */
export async function recordJoinName(
  database: Database,
  agentId: string,
  { joinName, keyGeneration }: Pick<AgentInputs, 'joinName' | 'keyGeneration'>,
): Promise<void> {
  if (joinName === undefined) return;
  await database
    .insertInto('tailnet_join_names')
    .values({ name: joinName, agent_id: agentId, key_generation: keyGeneration })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .execute();
  const { agent_id: owner } = await database
    .selectFrom('tailnet_join_names')
    .select('agent_id')
    .where('name', '=', joinName)
    .executeTakeFirstOrThrow();
  if (owner !== agentId) throw new ConflictError(`The join name ${joinName} belongs to another agent`);
}

/**
 * Rejects a device that another agent has recorded. Two agents that claim one address are a bug or an attack.
 * @throws ConflictError if another agent's row has the address or the device
 */
export async function refuseForeignDevice(
  trx: Transaction,
  agentId: string,
  { tailnetIp, tailnetNodeId }: { tailnetIp: string; tailnetNodeId?: string | null | undefined },
): Promise<void> {
  const other = await trx
    .selectFrom('agents')
    .select(['agent_id', 'tailnet_ip'])
    .where('agent_id', '<>', agentId)
    .where((row) =>
      row.or([row('tailnet_ip', '=', tailnetIp), row('tailnet_node_id', '=', tailnetNodeId ?? null)]),
    )
    .executeTakeFirst();
  if (other !== undefined)
    throw new ConflictError(`The tailnet device at ${tailnetIp} already belongs to agent ${other.agent_id}`);
}

/** Records the device of an agent that was created before devices were recorded. */
export async function recordDevice(
  trx: Transaction,
  agentId: string,
  { nodeId, tailnetName }: { nodeId: string; tailnetName: string },
): Promise<void> {
  await trx
    .updateTable('agents')
    .set({ tailnet_node_id: nodeId, tailnet_name: tailnetName, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .execute();
}
