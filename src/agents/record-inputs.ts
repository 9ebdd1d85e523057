import { sql } from 'kysely';
import { type AgentInputs, agentName, toServerName } from '../../stacks/inputs.ts';
import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { ConflictError } from '../errors.ts';
import { recordJoinName } from './devices.ts';
import { recordServerName } from './server-names.ts';

/**
 * Records the stack's inputs before the stack is touched, so that every created resource is named in a row.
 * The caller's transaction holds the attempt's claim.
 * @throws ConflictError for a join name or a server's name that belongs to another agent, and for a server's
 * name other than the recorded one: a server may exist under that
 */
export async function recordInputs(
  trx: Transaction,
  agentId: string,
  prepared: { inputs: AgentInputs; secrets?: Buffer },
): Promise<void> {
  await recordJoinName(trx, agentId, prepared.inputs);
  await recordServerName(trx, agentId, prepared.inputs);
  const { numUpdatedRows } = await trx
    .updateTable('agents')
    .set({
      inputs: jsonText(prepared.inputs),
      ...(prepared.secrets ? { secrets: prepared.secrets } : {}),
      updated_at: sql`now()`,
    })
    .where('agent_id', '=', agentId)
    .where(
      sql<boolean>`(inputs is null
        or coalesce(inputs->>'serverName', ${agentName(agentId)}) = ${toServerName(prepared.inputs)})`,
    )
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw new ConflictError(`Agent ${agentId} has another server's name`);
}
