import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database } from '../database/connect.ts';
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
        // Others may have come meanwhile, or it is drained. The agent has nothing any more, and waits.
        if (!(await mayMoveTo(trx, { project: to, location: agent.location })))
          throw new ShortageError(`The Hetzner project ${to} takes no agent in ${agent.location} any more`);
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
