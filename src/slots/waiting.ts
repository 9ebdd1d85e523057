import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

/** A slot that an order may claim any moment, or that has just been claimed. */
export interface WaitingSlot {
  slotId: string;
  tailnetIp: string;
  isReady: boolean;
  /** Sealed for the slot's id. */
  secrets: Buffer;
}

const MOST = 200;

/** Returns the slots that wait, and those whose hand-over may be under way; the oldest first. */
export async function listWaitingSlots(database: Database): Promise<WaitingSlot[]> {
  const { rows } = await sql<WaitingSlot>`
    select slot_id as "slotId", tailnet_ip as "tailnetIp", status = 'ready' as "isReady", secrets from slots
    where status in ('ready', 'claimed') and served_at is null and tailnet_ip is not null and secrets is not null
    order by ready_at limit ${MOST}`.execute(database);
  return rows;
}
