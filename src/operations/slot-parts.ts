import type { Database, Transaction } from '../database/connect.ts';
import { findClaimed, giveSlotUp, takeOverSlots } from '../slots/claimed.ts';
import { NOT_HANDED_OVER } from '../slots/failures.ts';
import { makeRoom } from '../slots/make-room.ts';
import type { HandOver } from '../tailnet/hand-over.ts';
import type { Attempt } from './attempt.ts';
import { whileHeld } from './claims.ts';
import { wantRoom } from './room.ts';
import type { SlotParts } from './runbook-parts.ts';

/** The slots of agents in this database. Every write is that of an attempt that still holds its operation. */
export function createSlotParts(
  database: Database,
  handOver: HandOver,
  canReach: SlotParts['canReach'] = async () => true,
): SlotParts {
  const held = ({ operation }: Attempt, write: (trx: Transaction) => Promise<unknown>) =>
    whileHeld(database, operation, write);
  return {
    find: ({ agent }) => findClaimed(database, agent.agent_id),
    findUnadopted: async ({ agent }) => (await findClaimed(database, agent.agent_id))?.slotId,
    takeOver: (run, taken) =>
      held(run, (trx) => takeOverSlots(trx, [{ ...taken, agentId: run.agent.agent_id }])),
    giveUp: (run, why) => held(run, (trx) => giveSlotUp(trx, run.agent.agent_id, why, NOT_HANDED_OVER)),
    handOver,
    canReach,
    makeRoom: async (run) => {
      // In a transaction of its own: the operation is not kept locked while others make room.
      await held(run, (trx) => wantRoom(trx, run.operation));
      return makeRoom(database, run.agent.project);
    },
  };
}
