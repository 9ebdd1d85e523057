import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';

/**
 * Reserves a join name for the agent for good, so that a device that joins under it can be attributed at any
 * time.
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
  if (owner !== agentId) throw new ConflictError(`The join name ${joinName} is another agent's`);
}

/**
 * An address belongs to one device, so two agents that claim the same one are a mistake, or an attack.
 * @throws ConflictError where another agent's row names the address or the device
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
    throw new ConflictError(
      `The tailnet device at ${tailnetIp} is recorded as that of agent ${other.agent_id}`,
    );
}

/** Records the device of an agent that was made before devices were recorded. */
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
