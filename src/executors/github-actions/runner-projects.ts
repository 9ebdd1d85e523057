import { getAgent } from '../../agents/store.ts';
import type { Database, Transaction } from '../../database/connect.ts';
import { InvalidInputError } from '../../errors.ts';
import type { OperationRow } from '../../operations/claims.ts';
import { moveAgent } from '../../operations/project-parts.ts';
import { findRoomElsewhere } from '../../projects/placement.ts';

/** Which project takes a job's agent if its own is full. */
export async function findProjectForRunner(
  database: Database,
  { agent_id: agentId }: OperationRow,
): Promise<{ project?: string }> {
  const project = await findRoomElsewhere(database, await getAgent(database, agentId));
  return project === undefined ? {} : { project };
}

/**
 * Moves a job's agent, of which the runner has removed everything, to another project.
 * @returns whether it is there now
 * @throws InvalidInputError for anything but a provision: other agents have servers or snapshots
 */
export async function moveForRunner(trx: Transaction, row: OperationRow, to: string): Promise<boolean> {
  if (row.kind !== 'provision') throw new InvalidInputError('only a provision moves its agent');
  return moveAgent(trx, { operation: row, agent: await getAgent(trx, row.agent_id) }, to);
}
