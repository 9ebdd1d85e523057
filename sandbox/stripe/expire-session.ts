import type { SandboxTransaction } from '../database.ts';
import { type EventCause, emitEvent } from './events.ts';
import { saveObject } from './objects.ts';
import { nowSeconds, type Session } from './wire.ts';

/** Expires an open session: nothing can be bought with it any more. */
export async function expireSession(
  trx: SandboxTransaction,
  session: Session,
  request?: EventCause,
): Promise<Session> {
  const expired: Session = { ...session, status: 'expired', expires_at: nowSeconds() };
  await saveObject(trx, expired);
  await emitEvent(trx, { type: 'checkout.session.expired', object: expired, ...(request && { request }) });
  return expired;
}
