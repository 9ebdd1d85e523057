/**
 * The events that the service acts on, with Stripe's names: exactly these an endpoint has to be subscribed
 * to. The first two buy agents; the others say that a subscription has to be read again.
 */
export const ORDER_EVENTS = [
  'checkout.session.completed',
  'checkout.session.async_payment_succeeded',
] as const;

export const ACTED_ON = [
  ...ORDER_EVENTS,
  'checkout.session.async_payment_failed',
  'checkout.session.expired',
  'customer.subscription.created',
  'customer.subscription.updated',
  'customer.subscription.deleted',
  'customer.subscription.paused',
  'customer.subscription.resumed',
  'invoice.paid',
  'invoice.payment_failed',
  'invoice.voided',
  'invoice.marked_uncollectible',
  'charge.refunded',
  'charge.dispute.created',
  'charge.dispute.closed',
] as const;
export type ActedOn = (typeof ACTED_ON)[number];
