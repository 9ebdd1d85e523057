import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import type { NoticeType } from '../database/vocabulary.ts';

export interface NewNotice {
  type: NoticeType;
  /** The agent it is about. The caller holds its lock, so that notices of an agent are in order. */
  agentId?: string | undefined;
  /** Names what happened, up to 500 characters: a second notice with this key changes nothing. */
  key: string;
  /**
   * Told to every receiver; docs/notices.md lists the fields. `harmAt`: when what is announced happens, in
   * ISO 8601. `buyerEmail`: where the buyer's mail goes; default: the address in the order.
   */
  data: Record<string, unknown>;
  /** When it happened; default: now, by the clock of the business. */
  at?: Date | undefined;
}

/**
 * Queues a notice in the transaction of what it tells. Workers deliver it after the commit.
 * @returns false if a notice with the key was queued before
 */
export async function queueNotice(trx: Transaction, notice: NewNotice): Promise<boolean> {
  return (await queueNotices(trx, [notice])) === 1;
}

/** Like queueNotice, for several with one statement. @returns how many were not queued before */
export async function queueNotices(trx: Transaction, notices: readonly NewNotice[]): Promise<number> {
  const inserted = await trx
    .insertInto('notices')
    .values(
      notices.map(({ type, agentId, key, data, at }) => ({
        type,
        agent_id: agentId ?? null,
        key,
        data: jsonText(data),
        ...(at && { at }),
      })),
    )
    .onConflict((conflict) => conflict.column('key').doNothing())
    .executeTakeFirst();
  return Number(inserted.numInsertedOrUpdatedRows);
}

/** The notices that must precede harm. */
const ANNOUNCEMENTS = ['agent.payment_failed', 'agent.will_suspend', 'agent.will_delete'] as const;

/** Lists what was announced about an agent, oldest first. */
export function listAnnouncements(
  database: Database,
  agentId: string,
): Promise<{ type: NoticeType; key: string; at: Date }[]> {
  return database
    .selectFrom('notices')
    .select(['type', 'key', 'at'])
    .where('agent_id', '=', agentId)
    .where('type', 'in', ANNOUNCEMENTS)
    .orderBy('sequence')
    .execute();
}

/** When the agent was last told to be suspended; null if it never was. */
export async function findLastSuspension(database: Database, agentId: string): Promise<Date | null> {
  const row = await database
    .selectFrom('notices')
    .select('at')
    .where('agent_id', '=', agentId)
    .where('type', '=', 'agent.suspended')
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.at ?? null;
}
