import { createHmac, randomUUID } from 'node:crypto';

/** An event with its signature, ready to be sent. */
export interface SignedEvent {
  body: string;
  signature: string;
}

/** Signs an event as Stripe documents it. The service accepts it for five minutes. */
export function signEvent(event: { id: string; type: string; object: object }, secret: string): SignedEvent {
  const time = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({
    id: event.id,
    object: 'event',
    api_version: '2026-04-22',
    type: event.type,
    created: time,
    livemode: false,
    data: { object: event.object },
  });
  const hmac = createHmac('sha256', secret).update(`${time}.${body}`).digest('hex');
  return { body, signature: `t=${time},v1=${hmac}` };
}

/** A paid checkout session that orders an agent, or whatever the metadata says. */
export function paidSession(metadata: Record<string, string>): { id: string; type: string; object: object } {
  const unique = randomUUID();
  return {
    id: `evt_${unique}`,
    type: 'checkout.session.completed',
    object: {
      id: `cs_test_${unique}`,
      object: 'checkout.session',
      mode: 'subscription',
      payment_status: 'paid',
      subscription: `sub_${unique}`,
      customer: `cus_${unique}`,
      metadata,
    },
  };
}

/** An event of a type that the service stores and ignores. */
export function customerUpdated(): { id: string; type: string; object: object } {
  const unique = randomUUID();
  return {
    id: `evt_${unique}`,
    type: 'customer.updated',
    object: { id: `cus_${unique}`, object: 'customer' },
  };
}
