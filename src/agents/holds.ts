import type { Database, Transaction } from '../database/connect.ts';
import { HOLD_REASONS, type HoldReason } from '../database/vocabulary.ts';
import { audit } from './audit.ts';

export { HOLD_REASONS, type HoldReason } from '../database/vocabulary.ts';

/** The reasons for which people place and release holds; the service does so for the others. */
export const REASONS_OF_PEOPLE = ['abuse', 'operator'] as const satisfies HoldReason[];

/** Keeps an agent from running or from being deleted. An agent has at most one per reason. */
export interface Hold {
  reason: HoldReason;
  since: Date;
  /** Who placed it, as in the audit log. */
  by: string;
  note: string | null;
}

/** Whether a hold with this reason switches the agent off. A dispute only keeps it from being deleted. */
export function stopsAgent(reason: HoldReason): boolean {
  return reason !== 'dispute';
}

/** The reasons for which an agent is switched off. */
export const STOPPING_REASONS: readonly HoldReason[] = HOLD_REASONS.filter(stopsAgent);

/**
 * Places a hold. The caller has locked the agent and calls `followHolds` afterwards.
 * @returns false if the agent has a hold with this reason: nothing changes, and `since` stays
 */
export async function placeHold(
  trx: Transaction,
  hold: { agentId: string; reason: HoldReason; by: string; at: Date; note?: string | undefined },
): Promise<boolean> {
  const { agentId, reason, by, at, note = null } = hold;
  const placed = await trx
    .insertInto('holds')
    .values({ agent_id: agentId, reason, since: at, by_whom: by, note })
    .onConflict((conflict) => conflict.doNothing())
    .returning('reason')
    .executeTakeFirst();
  if (placed === undefined) return false;
  const details = { reason, since: at.toISOString(), ...(note === null ? {} : { note }) };
  await audit(trx, { actor: by, action: 'hold.place', agentId, details });
  return true;
}

/**
 * Releases the hold with this reason, and no other. The caller has locked the agent and calls `followHolds`
 * afterwards.
 * @returns false if there was none
 */
export async function releaseHold(
  trx: Transaction,
  {
    agentId,
    reason,
    by,
    note,
  }: { agentId: string; reason: HoldReason; by: string; note?: string | undefined },
): Promise<boolean> {
  const released = await trx
    .deleteFrom('holds')
    .where('agent_id', '=', agentId)
    .where('reason', '=', reason)
    .returning('since')
    .executeTakeFirst();
  if (released === undefined) return false;
  const details = { reason, since: released.since.toISOString(), ...(note === undefined ? {} : { note }) };
  await audit(trx, { actor: by, action: 'hold.release', agentId, details });
  return true;
}

/** The agent's holds, oldest first. */
export async function listHolds(database: Database, agentId: string): Promise<Hold[]> {
  return (await listHoldsByAgent(database, [agentId])).get(agentId) ?? [];
}

/** The agent's holds that switch it off, oldest first. */
export async function findStoppingHolds(database: Database, agentId: string): Promise<Hold[]> {
  return (await listHolds(database, agentId)).filter(({ reason }) => stopsAgent(reason));
}

/** The holds of several agents by agent id, oldest first. An agent without any has no entry. */
export async function listHoldsByAgent(
  database: Database,
  agentIds: readonly string[],
): Promise<Map<string, Hold[]>> {
  if (agentIds.length === 0) return new Map();
  const rows = await database
    .selectFrom('holds')
    .selectAll()
    .where('agent_id', 'in', [...agentIds])
    .orderBy('since')
    .orderBy('reason')
    .execute();
  const toHold = ({ reason, since, by_whom: by, note }: (typeof rows)[number]) => ({
    reason,
    since,
    by,
    note,
  });
  return new Map(
    [...Map.groupBy(rows, (row) => row.agent_id)].map(([agentId, own]) => [agentId, own.map(toHold)]),
  );
}

/** Removes an agent's holds once it is destroyed. */
export async function forgetHolds(trx: Transaction, agentId: string): Promise<void> {
  await trx.deleteFrom('holds').where('agent_id', '=', agentId).execute();
}
