import { PermanentError } from '../errors.ts';
import type { SlotParts } from '../operations/runbook-parts.ts';

/**
 * What a runner does about slots: it hands none over, but an agent may still run on a slot's server whose
 * stack it has to take over or to destroy. `slotId`: as the claim says.
 */
export function createRemoteSlots(slotId: string | undefined): SlotParts {
  const refuse = async () => {
    throw new PermanentError('A runner hands no servers over');
  };
  return {
    find: async () => undefined,
    findUnadopted: async () => slotId,
    takeOver: refuse,
    giveUp: refuse,
    handOver: refuse,
    canReach: async () => true,
    makeRoom: async () => false,
  };
}
