import { sql } from 'kysely';
import { mailAddress } from '../config/notices.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { NoticeType } from '../database/vocabulary.ts';
import { findBuyers } from './buyers.ts';
import type { Receiver } from './receiver.ts';

const MOST_AT_ONCE = 200;

interface QueuedRow {
  notice_id: string;
  sequence: number;
  type: NoticeType;
  agent_id: string | null;
  at: Date;
  data: Record<string, unknown>;
}

/**
 * Writes a delivery of every new notice for every receiver that wants it. A receiver that is configured later
 * gets later notices only. One process at a time does this, because deliveries of one agent must become
 * visible in order.
 * @returns the number of notices
 */
export async function spreadNotices(database: Database, receivers: readonly Receiver[]): Promise<number> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(hashtext('notices'), 0) as locked`.execute(trx);
    if (rows[0]?.locked !== true) return 0;
    const queued = await trx
      .selectFrom('notices')
      .select(['notice_id', 'sequence', 'type', 'agent_id', 'at', 'data'])
      .where('spread', '=', false)
      .orderBy('sequence')
      .limit(MOST_AT_ONCE)
      .execute();
    if (queued.length === 0) return 0;
    await writeDeliveries(trx, queued, receivers);
    await trx
      .updateTable('notices')
      .set({ spread: true })
      .where(
        'notice_id',
        'in',
        queued.map((row) => row.notice_id),
      )
      .execute();
    return queued.length;
  });
}

async function writeDeliveries(
  trx: Transaction,
  queued: readonly QueuedRow[],
  receivers: readonly Receiver[],
): Promise<void> {
  const buyers = await findBuyers(
    trx,
    queued.flatMap((row) => (row.agent_id === null ? [] : [row.agent_id])),
  );
  const deliveries = queued.flatMap((row) => {
    const { notice_id: noticeId, type, agent_id: agentId, at, data } = row;
    const buyerEmail = mailAddress.safeParse(data.buyerEmail ?? buyers.get(agentId)).data;
    return receivers.flatMap((receiver) => {
      const address = receiver.addressFor({ noticeId, type, agentId, at, data }, buyerEmail);
      if (address === undefined) return [];
      const { name } = receiver;
      // Order is promised per agent: what is about none waits for nothing.
      const lane = agentId ?? noticeId;
      return [{ notice_id: noticeId, receiver: name, address, sequence: row.sequence, lane }];
    });
  });
  if (deliveries.length > 0) await trx.insertInto('notice_deliveries').values(deliveries).execute();
}
