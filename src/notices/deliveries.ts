import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import type { NoticeType } from '../database/vocabulary.ts';
import type { Notice, SendResult } from './receiver.ts';

/**
 * Pauses between the attempts at one delivery, on the service's clock: fast enough after an outage of
 * minutes, about four days in all. A success after failures also makes the receiver's other deliveries due.
 */
const PAUSES_SECONDS = [5, 30, 120, 300, 600, 900, 1_800].concat(
  [1, 2, 4, 8, 12, 24, 24, 24].map((hours) => hours * 3_600),
);
/** Longer than an attempt may take. After it, by Postgres's clock, another worker may send it again. */
const LEASE_SECONDS = 60;
const LONGEST_ERROR = 500;

/** A notice that this process may send to one receiver now. */
export interface ClaimedDelivery {
  notice: Notice;
  receiver: string;
  address: string | null;
  /** The number of this attempt; later ones are another process's. */
  attempt: number;
}

interface ClaimedRow {
  notice_id: string;
  address: string | null;
  attempts: number;
  type: NoticeType;
  agent_id: string | null;
  at: Date;
  data: Record<string, unknown>;
}

/**
 * Claims a receiver's next due delivery. A delivery waits for the earlier ones of its lane, so each agent's
 * notices arrive in order; other agents' notices do not wait. Concurrent callers get different ones.
 * @param at now, on the service's clock
 */
export async function claimDelivery(
  database: Database,
  receiver: string,
  at: Date,
): Promise<ClaimedDelivery | undefined> {
  const { rows } = await sql<ClaimedRow>`
    with claimed as (
      update notice_deliveries set attempts = attempts + 1,
        lease_until = now() + make_interval(secs => ${LEASE_SECONDS})
      where receiver = ${receiver} and notice_id = (
        select h.notice_id from notice_deliveries h
        where h.receiver = ${receiver} and h.status = 'pending' and h.next_at <= ${at}
          and (h.lease_until is null or h.lease_until < now())
          and not exists (select 1 from notice_deliveries e where e.receiver = h.receiver
            and e.lane = h.lane and e.status = 'pending' and e.sequence < h.sequence)
        order by h.sequence limit 1 for no key update skip locked)
      returning notice_id, address, attempts)
    select c.*, n.type, n.agent_id, n.at, n.data from claimed c join notices n using (notice_id)`.execute(
    database,
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { notice_id: noticeId, type, agent_id: agentId, at: happenedAt, data, address, attempts } = row;
  const notice = { noticeId, type, agentId, at: happenedAt, data };
  return { notice, receiver, address, attempt: attempts };
}

/** What follows from an attempt. `retryAt`: when the next one is due. */
export type Settled = { status: 'delivered' | 'failed' | 'lost' } | { status: 'pending'; retryAt: Date };

/**
 * Records how an attempt ended: delivered, due again after a pause, or given up. Changes nothing if another
 * process has claimed the delivery meanwhile (`lost`).
 * @param at now, on the service's clock
 */
export async function settleDelivery(
  database: Database,
  claimed: ClaimedDelivery,
  result: SendResult,
  at: Date,
): Promise<Settled> {
  const { answer } = result;
  if (result.delivered) {
    const columns = { status: 'delivered', delivered_at: sql<Date>`now()`, answer, error: null } as const;
    if (!(await write(database, claimed, columns))) return { status: 'lost' };
    if (claimed.attempt > 1) await hasten(database, claimed.receiver, at);
    return { status: 'delivered' };
  }
  const error = cutText(result.error || 'no reason given', LONGEST_ERROR);
  const pause = result.isFinal ? undefined : PAUSES_SECONDS[claimed.attempt - 1];
  if (pause === undefined) {
    const wrote = await write(database, claimed, { status: 'failed', answer, error });
    return { status: wrote ? 'failed' : 'lost' };
  }
  const retryAt = new Date(at.getTime() + Math.max(pause, result.waitSeconds ?? 0) * 1000);
  const wrote = await write(database, claimed, { next_at: retryAt, answer, error });
  return wrote ? { status: 'pending', retryAt } : { status: 'lost' };
}

/** Gives a delivery back unsent: this process stops. The attempt does not count. */
export async function releaseDelivery(database: Database, claimed: ClaimedDelivery): Promise<void> {
  await write(database, claimed, { attempts: claimed.attempt - 1 });
}

async function write(database: Database, claimed: ClaimedDelivery, columns: object): Promise<boolean> {
  const written = await database
    .updateTable('notice_deliveries')
    .set({ ...columns, lease_until: null })
    .where('notice_id', '=', claimed.notice.noticeId)
    .where('receiver', '=', claimed.receiver)
    .where('attempts', '=', claimed.attempt)
    .where('status', '=', 'pending')
    .executeTakeFirst();
  return written.numUpdatedRows > 0n;
}

/**
 * The receiver is back: what waits for it because it was down is due now. What it refused (4xx) keeps its
 * pause.
 */
async function hasten(database: Database, receiver: string, at: Date): Promise<void> {
  await database
    .updateTable('notice_deliveries')
    .set({ next_at: at })
    .where('receiver', '=', receiver)
    .where('status', '=', 'pending')
    .where('next_at', '>', at)
    .where((where) => where.or([where('answer', 'is', null), where('answer', '>=', 500)]))
    .execute();
}
