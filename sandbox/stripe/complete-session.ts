import type { SandboxTransaction } from '../database.ts';
import { chargeIntent } from './charges.ts';
import { createCustomer } from './customers.ts';
import type { PayingMethod } from './default-payment-method.ts';
import { invalidRequest } from './errors.ts';
import { emitEvent } from './events.ts';
import { createInvoice } from './invoices.ts';
import { insertObject, lockWithHidden, readObject, saveObject } from './objects.ts';
import { tryPayment } from './pay-invoice.ts';
import { newPaymentIntent } from './payment-intents.ts';
import { storeMethod } from './payment-methods.ts';
import type { SessionHidden } from './session-create.ts';
import { toId } from './subscription-changes.ts';
import { newSubscription } from './subscription-object.ts';
import { toTrialEnd } from './subscription-trial.ts';
import { type TestCard, WORKING_CARD } from './test-cards.ts';
import {
  type Customer,
  type Invoice,
  nowSeconds,
  type PaymentIntent,
  type Session,
  type Subscription,
} from './wire.ts';

/**
 * Completes a session: marks it paid and creates what was bought, with the events about it. Does nothing to a
 * session that is already complete. Without `paid`, the payment stays pending, like a bank debit, until
 * `settleSession` settles it. The `card` pays, now and later; a card that fails later pays this once.
 */
export async function completeSession(
  trx: SandboxTransaction,
  sessionId: string,
  { paid, card = WORKING_CARD }: { paid: boolean; card?: TestCard },
): Promise<Completion> {
  const { body: session, hidden } = await lockWithHidden<Session, SessionHidden>(
    trx,
    'checkout.session',
    sessionId,
  );
  if (session.status === 'complete') return { session };
  if (session.status !== 'open' || session.expires_at <= nowSeconds())
    throw invalidRequest('This Checkout Session has expired.');
  if (!paid && session.mode !== 'subscription')
    throw invalidRequest('In the sandbox only subscriptions can be paid later.');
  const customer = await findOrCreateCustomer(trx, session);
  const bought =
    session.mode === 'subscription'
      ? await buySubscription(trx, customer, hidden, { paid, card })
      : await buyOnce(trx, session, customer, hidden, card);
  const complete: Session = {
    ...session,
    payment_status: paid ? 'paid' : 'unpaid',
    ...bought.links,
    customer: customer.id,
    customer_details: customerDetails(customer),
    status: 'complete',
  };
  await saveObject(trx, complete);
  const eventId = await emitEvent(trx, { type: 'checkout.session.completed', object: complete });
  await bought.emit();
  return { session: complete, eventId };
}

/** `eventId` is the id of `checkout.session.completed`, if this call completed the session. */
export interface Completion {
  session: Session;
  eventId?: string;
}

interface Bought {
  links: Partial<Session>;
  emit: () => Promise<void>;
}

async function buySubscription(
  trx: SandboxTransaction,
  customer: Customer,
  hidden: SessionHidden,
  { paid, card }: { paid: boolean; card: TestCard },
): Promise<Bought> {
  const method = await storeMethod(trx, card, { customerId: customer.id });
  const trialEnd = toTrialEnd(hidden.trial ?? {});
  const created = newSubscription({
    customerId: customer.id,
    lineItems: hidden.lineItems,
    metadata: hidden.purchaseMetadata,
    description: hidden.purchaseDescription,
    trialEnd,
  });
  const invoice: Invoice = await createInvoice(trx, created, {
    reason: 'subscription_create',
    bills: 'period',
  });
  const subscription: Subscription = {
    ...created,
    default_payment_method: method.id,
    latest_invoice: invoice.id,
  };
  await insertObject(trx, subscription);
  return {
    links: {
      subscription: subscription.id,
      invoice: invoice.id,
      ...(trialEnd !== undefined && { payment_status: 'no_payment_required' as const }),
    },
    emit: async () => {
      await emitEvent(trx, { type: 'customer.subscription.created', object: subscription });
      if (paid || trialEnd !== undefined) await tryPayment(trx, invoice, { outcome: 'succeeds' });
    },
  };
}

async function buyOnce(
  trx: SandboxTransaction,
  session: Session,
  customer: Customer,
  hidden: SessionHidden,
  card: TestCard,
): Promise<Bought> {
  const paying: PayingMethod = { method: await storeMethod(trx, card), card };
  const intent: PaymentIntent = {
    ...newPaymentIntent(session, customer.id, hidden.purchaseMetadata),
    description: hidden.purchaseDescription ?? null,
  };
  await insertObject(trx, intent);
  await chargeIntent(trx, intent, paying);
  return {
    links: { payment_intent: intent.id },
    emit: async () => {
      const paid = await readObject<PaymentIntent>(trx, 'payment_intent', intent.id);
      await emitEvent(trx, { type: 'payment_intent.succeeded', object: paid });
    },
  };
}

async function findOrCreateCustomer(trx: SandboxTransaction, session: Session): Promise<Customer> {
  if (session.customer) return readObject<Customer>(trx, 'customer', toId(session.customer));
  return createCustomer(trx, {
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
