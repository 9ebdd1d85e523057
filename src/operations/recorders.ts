import { recordSnapshot } from '../agents/hibernation.ts';
import { recordInputs } from '../agents/record-inputs.ts';
import type { Database } from '../database/connect.ts';
import { whileHeld } from './claims.ts';
import type { RunbookParts } from './runbook-parts.ts';

/**
 * What an attempt records in its agent's row before it changes anything at the clouds. An attempt that was
 * paused meanwhile and no longer holds its operation records nothing, and so creates nothing.
 */
export function createRecorders(database: Database): Pick<RunbookParts, 'recordInputs' | 'recordSnapshot'> {
  return {
    recordInputs: ({ operation, agent }, prepared) =>
      whileHeld(database, operation, (trx) => recordInputs(trx, agent.agent_id, prepared)),
    recordSnapshot: ({ operation, agent }, snapshotId) =>
      whileHeld(database, operation, (trx) =>
        recordSnapshot(trx, agent.agent_id, snapshotId, operation.kind),
      ),
  };
}
