import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ShortageError } from '../errors.ts';
import { findRoomElsewhere, markFull, mayMoveTo } from '../projects/placement.ts';
import { whileHeld } from './claims.ts';
import type { ProjectParts } from './runbook-parts.ts';

/** The projects in this database, as the runbooks see them. */
export function createProjectParts(database: Database): ProjectParts {
  return {
    markFull: ({ agent }) => markFull(database, agent.project),
    findOther: ({ agent }) => findRoomElsewhere(database, agent),
    move: ({ operation, agent }, to) =>
      whileHeld(database, operation, async (trx) => {
        // The agent has nothing any more, and waits.
        if (!(await moveAgent(trx, { operation, agent }, to))) throw noRoom(agent, to);
      }),
  };
}

export const noRoom = ({ location }: { location: string }, to: string): ShortageError =>
  new ShortageError(`The Hetzner project ${to} takes no agent in ${location} any more`);

interface Moved {
  operation: { operation_id: string };
  agent: { agent_id: string; project: string; location: string };
}

/**
 * Makes the project the agent's, if that has no server. Others may have come into the project meanwhile, or
 * it is drained. The caller holds the operation's row. @returns whether the agent is in the project now
 */
export async function moveAgent(
  trx: Transaction,
  { operation: { operation_id: operationId }, agent }: Moved,
  to: string,
): Promise<boolean> {
  const { agent_id: agentId, location, project: from } = agent;
  if (!(await mayMoveTo(trx, { project: to, location }))) return false;
  const { numUpdatedRows } = await trx
    .updateTable('agents')
    // What was recorded names the former project's firewall, and maybe an image in it.
    .set({ project: to, inputs: null, updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('server_id', 'is', null)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) return false;
  const details = { from, to };
  await audit(trx, { actor: 'service', action: 'agent.move-project', agentId, operationId, details });
  return true;
}
