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
 * Rejects devices that another agent has recorded. Two agents that claim one address are a bug or an attack.
 * @throws ConflictError if another agent's row has the address or the device
 */
export async function refuseForeignDevices(
  trx: Transaction,
  recorded: readonly {
    agentId: string;
    outputs: { tailnetIp: string; tailnetNodeId?: string | null | undefined };
  }[],
): Promise<void> {
  const ids = recorded.map(({ agentId }) => agentId);
  const addresses = recorded.map(({ outputs }) => outputs.tailnetIp);
  const nodes = recorded.map(({ outputs }) => outputs.tailnetNodeId ?? null);
  const { rows } = await sql<{ address: string; owner: string }>`
    select own.tailnet_ip as address, other.agent_id as owner
    from unnest(${ids}::text[], ${addresses}::text[], ${nodes}::text[]) as own (agent_id, tailnet_ip, node_id)
      join agents other on other.agent_id <> own.agent_id
        and (other.tailnet_ip = own.tailnet_ip or other.tailnet_node_id = own.node_id) limit 1`.execute(trx);
  const [other] = rows;
  if (other !== undefined)
    throw new ConflictError(`The tailnet device at ${other.address} already belongs to agent ${other.owner}`);
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
