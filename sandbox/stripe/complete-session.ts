import type { Queryable } from '../database.ts';
import { createCustomer } from './customers.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { createInvoice } from './invoices.ts';
import { insertObject, readObject, readWithHidden, saveObject } from './objects.ts';
import { paymentIntentOf } from './payment-intents.ts';
import type { SessionHidden } from './session-create.ts';
import { idOf } from './subscription-changes.ts';
import { subscriptionOf } from './subscription-object.ts';
import {
  type Customer,
  type Invoice,
  nowSeconds,
  type PaymentIntent,
  type Session,
  type Subscription,
} from './wire.ts';

/**
 * Somebody pays. Within the caller's transaction the session is complete and paid, and what was bought exists,
 * with the events about it. Paying what is paid already changes nothing and answers the same.
 * Not `paid`: by a means that takes days, as a bank debit; `settleSession` ends the wait.
 */
export async function completeSession(
  db: Queryable,
  sessionId: string,
  { paid }: { paid: boolean } = { paid: true },
): Promise<Completion> {
  const { body: session, hidden } = await readWithHidden<Session, SessionHidden>(
    db,
    'checkout.session',
    sessionId,
    { lock: true },
  );
  if (session.status === 'complete') return { session };
  if (session.status !== 'open' || session.expires_at <= nowSeconds())
    throw invalidRequest('This Checkout Session has expired.');
  if (!paid && session.mode !== 'subscription')
    throw invalidRequest('The sandbox lets subscriptions alone be paid later.');
  const customer = await customerOf(db, session);
  const bought =
    session.mode === 'subscription'
      ? await buySubscription(db, customer, hidden, paid)
      : await buyOnce(db, session, customer, hidden);
  const complete: Session = {
    ...session,
    ...bought.links,
    customer: customer.id,
    customer_details: customerDetails(customer),
    payment_status: paid ? 'paid' : 'unpaid',
    status: 'complete',
  };
  await saveObject(db, complete);
  const eventId = await emitEvent(db, { type: 'checkout.session.completed', object: complete });
  await bought.emit();
  return { session: complete, eventId };
}

/** `eventId` is that of `checkout.session.completed`, where it is this call that completed the session. */
export type Completion = { session: Session; eventId?: string };

type Bought = { links: Partial<Session>; emit: () => Promise<void> };

async function buySubscription(
  db: Queryable,
  customer: Customer,
  hidden: SessionHidden,
  paid: boolean,
): Promise<Bought> {
  const created = subscriptionOf({
    customerId: customer.id,
    lineItems: hidden.lineItems,
    metadata: hidden.purchaseMetadata,
    ...(hidden.purchaseDescription !== undefined && { description: hidden.purchaseDescription }),
  });
  const invoice: Invoice = await createInvoice(db, created, {
    reason: 'subscription_create',
    paid,
    bills: 'period',
  });
  const subscription: Subscription = { ...created, latest_invoice: invoice.id };
  await insertObject(db, subscription);
  return {
    links: { subscription: subscription.id, invoice: invoice.id },
    emit: async () => {
      await emitEvent(db, { type: 'customer.subscription.created', object: subscription });
      if (paid) await emitEvent(db, { type: 'invoice.paid', object: invoice });
    },
  };
}

async function buyOnce(
  db: Queryable,
  session: Session,
  customer: Customer,
  hidden: SessionHidden,
): Promise<Bought> {
  const intent: PaymentIntent = {
    ...paymentIntentOf(session, customer.id, hidden.purchaseMetadata),
    description: hidden.purchaseDescription ?? null,
  };
  await insertObject(db, intent);
  return {
    links: { payment_intent: intent.id },
    emit: async () => {
      await emitEvent(db, { type: 'payment_intent.succeeded', object: intent });
    },
  };
}

async function customerOf(db: Queryable, session: Session): Promise<Customer> {
  if (session.customer) return readObject<Customer>(db, 'customer', idOf(session.customer));
  return createCustomer(db, {
    email: session.customer_email ?? 'buyer@sandbox.example',
    name: 'Sandbox buyer',
    metadata: {},
  });
}

function customerDetails(customer: Customer): NonNullable<Session['customer_details']> {
  return {
    address: null,
    business_name: null,
    email: customer.email,
    individual_name: null,
    name: customer.name ?? null,
    phone: null,
    tax_exempt: 'none',
    tax_ids: [],
  };
}
