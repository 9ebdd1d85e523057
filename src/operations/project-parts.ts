import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database } from '../database/connect.ts';
import { ShortageError } from '../errors.ts';
import { findRoomElsewhere, markFull, roomInProject } from '../projects/placement.ts';
import { whileHeld } from './claims.ts';
import type { ProjectParts } from './runbook-parts.ts';

/** The projects in this database, as the runbooks see them. */
export function createProjectParts(database: Database): ProjectParts {
  return {
    markFull: ({ agent }) => markFull(database, agent.project),
    findOther: ({ agent }) => findRoomElsewhere(database, agent),
    move: ({ operation, agent }, to) =>
      whileHeld(database, operation, async (trx) => {
        // Others may have come meanwhile. The agent has nothing any more, and waits.
        if ((await roomInProject(trx, to)) === 0)
          throw new ShortageError(`The Hetzner project ${to} has no room any more`);
        await trx
          .updateTable('agents')
          // What was recorded names the former project's firewall, and maybe an image in it.
          .set({ project: to, inputs: null, updated_at: sql`now()` })
          .where('agent_id', '=', agent.agent_id)
          .where('server_id', 'is', null)
          .execute();
        const details = { from: agent.project, to };
        const { agent_id: agentId, operation_id: operationId } = operation;
        await audit(trx, { actor: 'service', action: 'agent.move-project', agentId, operationId, details });
      }),
  };
}
