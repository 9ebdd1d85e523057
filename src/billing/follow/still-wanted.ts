import type { Database } from '../../database/connect.ts';
import { DEMANDS } from '../decision.ts';
import { readBilling } from '../subscriptions.ts';

/** From the mildest to the hardest. */
const HARSHNESS: readonly string[] = DEMANDS;

/**
 * Whether the last decision about an agent still wants a change that a breaker has held back. Asks the rows
 * alone: a destroy is asked for at Stripe once more by its own last check.
 */
export function createStillWanted(database: Database): (agentId: string, kind: string) => Promise<boolean> {
  return async (agentId, kind) => {
    const asked = HARSHNESS.indexOf(kind);
    // Only these kinds are demanded by a subscription.
    if (asked < 1) return true;
    const demand = (await readBilling(database, [agentId])).get(agentId)?.demand;
    return HARSHNESS.indexOf(demand ?? '') >= asked;
  };
}
