import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type SandboxFixture, setup } from '../../support/sandbox.ts';
import { eventTypes, payWith, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
let customer: string;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());
beforeEach(async () => {
  customer = (await sandbox.stripe.customers.create({ email: 'cards@example.com' })).id;
});

const methods = () => sandbox.stripe.paymentMethods;

test('a test card is attached, listed as the customer’s, becomes the default and is detached', async () => {
  const attached = await methods().attach('pm_card_visa', { customer });
  expect(attached).toMatchObject({ customer, type: 'card', card: { brand: 'visa', last4: '4242' } });
  expect(attached.id).toMatch(/^pm_\w{24}$/);
  const second = await methods().attach('pm_card_mastercard', { customer });
  for (const { data } of [
    await methods().list({ customer, type: 'card' }),
    await sandbox.stripe.customers.listPaymentMethods(customer),
  ])
    expect(data.map(({ id }) => id)).toEqual([second.id, attached.id]);

  const settings = { invoice_settings: { default_payment_method: attached.id } };
  const expanded = await sandbox.stripe.customers.update(customer, {
    ...settings,
    expand: ['invoice_settings.default_payment_method'],
  });
  expect(expanded.invoice_settings.default_payment_method).toMatchObject({ object: 'payment_method' });
  expect(await methods().detach(attached.id)).toMatchObject({ customer: null });
  expect(await eventTypes(sandbox, 2)).toEqual(['payment_method.detached', 'payment_method.attached']);
  expect(await sandbox.stripe.customers.retrieve(customer)).toMatchObject({
    invoice_settings: { default_payment_method: null },
  });
  await expect(methods().attach(attached.id, { customer })).rejects.toMatchObject({
    message: expect.stringContaining('may not be used again'),
  });
});

test('a card can be made from a number or a token, and changed', async () => {
  const card = { number: '4000 0000 0000 0341', exp_month: 3, exp_year: 2031, cvc: '123' };
  const made = await methods().create({ type: 'card', card, billing_details: { name: 'Ada' } });
  expect(made).toMatchObject({
    customer: null,
    billing_details: { name: 'Ada' },
    card: { last4: '0341', exp_month: 3, exp_year: 2031 },
  });
  const byToken = await methods().create({ type: 'card', card: { token: 'tok_amex' } });
  expect(byToken.card).toMatchObject({ brand: 'amex', last4: '0005' });
  expect(await methods().update(made.id, { card: { exp_year: 2032 } })).toMatchObject({
    card: { exp_month: 3, exp_year: 2032 },
  });
});

test.each([
  ['pm_card_chargeDeclined', 'card_declined', 'generic_decline'],
  ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
  ['pm_card_chargeDeclinedExpiredCard', 'expired_card', 'expired_card'],
])('a card that always fails cannot be attached: %s', async (token, code, decline_code) => {
  await expect(methods().attach(token, { customer })).rejects.toMatchObject({
    type: 'StripeCardError',
    statusCode: 402,
    code,
    decline_code,
  });
  expect((await methods().list({ customer })).data).toEqual([]);
});

test('refuses unknown cards, and a default that is not the customer’s', async () => {
  await expect(methods().attach('pm_card_none', { customer })).rejects.toMatchObject({ statusCode: 404 });
  const real = { number: '4111111111111111', exp_month: 1, exp_year: 2030 };
  await expect(methods().create({ type: 'card', card: real })).rejects.toMatchObject({
    code: 'incorrect_number',
  });
  const other = await sandbox.stripe.customers.create({ payment_method: 'pm_card_visa' });
  const [theirs] = (await methods().list({ customer: other.id })).data;
  const settings = { default_payment_method: theirs!.id };
  await expect(
    sandbox.stripe.customers.update(customer, { invoice_settings: settings }),
  ).rejects.toMatchObject({ param: 'invoice_settings[default_payment_method]' });
});

test('a purchase keeps the buyer’s card as the subscription’s default, until it is detached', async () => {
  const subscription = await subscribe(sandbox);
  const { data } = await methods().list({ customer: String(subscription.customer) });
  expect(data).toMatchObject([{ id: subscription.default_payment_method, card: { last4: '4242' } }]);
  const failing = await payWith(sandbox, subscription, 'pm_card_chargeCustomerFail');
  await methods().detach(failing.id);
  expect(await sandbox.stripe.subscriptions.retrieve(subscription.id)).toMatchObject({
    default_payment_method: null,
  });
});
