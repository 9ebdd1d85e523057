import { sql } from 'kysely';
import type { AgentInputs } from '../../stacks/inputs.ts';
import type { Database } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { recordJoinName } from './devices.ts';
import { recordServerName } from './server-names.ts';

/**
 * Records the stack's inputs before the stack is touched, so that every created resource is named in a row.
 * @throws ConflictError for a join name, or a server's name, that belongs to another agent
 */
export async function recordInputs(
  database: Database,
  agentId: string,
  prepared: { inputs: AgentInputs; secrets?: Buffer },
): Promise<void> {
  await recordJoinName(database, agentId, prepared.inputs);
  await recordServerName(database, agentId, prepared.inputs);
  await database
    .updateTable('agents')
    .set({
      inputs: jsonText(prepared.inputs),
      ...(prepared.secrets ? { secrets: prepared.secrets } : {}),
      updated_at: sql`now()`,
    })
    .where('agent_id', '=', agentId)
    .execute();
}
