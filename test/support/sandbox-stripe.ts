import type Stripe from 'stripe';
import { buy, type SandboxFixture } from './sandbox.ts';

/** Posts to a control of the sandbox's Stripe, such as `invoices/fail`. Returns its answer. */
export async function control<T = unknown>(
  { url }: SandboxFixture,
  path: string,
  body: object,
): Promise<{ status: number; body: T }> {
  const response = await fetch(`${url}/sandbox/stripe/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as T };
}

/** Buys a subscription, by default of 25 € a month, with a card that works. */
export async function subscribe(sandbox: SandboxFixture): Promise<Stripe.Subscription> {
  return sandbox.stripe.subscriptions.retrieve(String((await buy(sandbox)).subscription));
}

/** Fails the next payment of a subscription. Returns the open invoice. */
export async function failNext(sandbox: SandboxFixture, subscriptionId: string): Promise<Stripe.Invoice> {
  const { body } = await control<Stripe.Invoice>(sandbox, 'invoices/fail', { subscriptionId });
  return sandbox.stripe.invoices.retrieve(body.id!);
}

/** Attaches a new test card, and makes it the default of a customer and of a subscription. */
export async function payWith(
  { stripe }: Pick<SandboxFixture, 'stripe'>,
  { id, customer }: Stripe.Subscription,
  card: string,
): Promise<Stripe.PaymentMethod> {
  const method = await stripe.paymentMethods.attach(card, { customer: String(customer) });
  await stripe.customers.update(String(customer), {
    invoice_settings: { default_payment_method: method.id },
  });
  await stripe.subscriptions.update(id, { default_payment_method: method.id });
  return method;
}

/** Returns the types of the newest events, newest first. */
export async function eventTypes({ stripe }: SandboxFixture, limit: number): Promise<string[]> {
  return (await stripe.events.list({ limit })).data.map(({ type }) => type);
}

/** Returns the charge that paid an invoice, found as a client has to: by its invoice payment. */
export async function chargeOf({ stripe }: SandboxFixture, invoice: string): Promise<Stripe.Charge> {
  const { data } = await stripe.invoicePayments.list({
    invoice,
    status: 'paid',
    expand: ['data.payment.payment_intent.latest_charge'],
  });
  const intent = data[0]!.payment.payment_intent as Stripe.PaymentIntent;
  return intent.latest_charge as Stripe.Charge;
}
