import { createHmac, type Hmac, timingSafeEqual } from 'node:crypto';
import type { SealingKey } from '../keys/sealed-text.ts';

/**
 * Says that this installation made a backup. The keys of recipients are public: who can write to the bucket
 * can encrypt anything for them.
 */
export const createMac = ({ sealing }: SealingKey): Hmac =>
  createHmac('sha256', createHmac('sha256', sealing).update('mac of backups').digest());

/** Whether one of them is this one. They take no further text then. */
export function hasMac(macs: readonly Hmac[], mac: string): boolean {
  const expected = Buffer.from(mac, 'hex');
  return macs.map((one) => timingSafeEqual(one.digest(), expected)).includes(true);
}
