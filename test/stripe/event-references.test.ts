import { expect, test } from 'vitest';
import { parseStripeEvent } from '../../src/stripe/event.ts';
import { readReferences } from '../../src/stripe/event-references.ts';

const read = (type: string, object: object, more: object = {}) =>
  readReferences(parseStripeEvent(JSON.stringify({ id: 'evt_1', type, data: { object }, ...more })));

test('a subscription is named by its own events, and by its invoices in both forms of the API', () => {
  const own = { id: 'sub_1', customer: 'cus_1' };
  expect(read('customer.subscription.deleted', own)).toMatchObject({ subscriptionId: 'sub_1' });
  expect(read('invoice.paid', { id: 'in_1', subscription: 'sub_1' })).toMatchObject({
    subscriptionId: 'sub_1',
  });
  const parent = { type: 'subscription_details', subscription_details: { subscription: 'sub_1' } };
  expect(read('invoice.paid', { id: 'in_1', parent })).toMatchObject({ subscriptionId: 'sub_1' });
  const expanded = { id: 'in_1', subscription: { id: 'sub_1', object: 'subscription' } };
  expect(read('invoice.voided', expanded)).toMatchObject({ subscriptionId: 'sub_1' });
  expect(read('checkout.session.completed', { id: 'cs_1', subscription: 'sub_1' })).toMatchObject({
    subscriptionId: 'sub_1',
  });
});

test('charges and disputes name a customer, or only a charge that has to be looked up', () => {
  expect(read('charge.refunded', { id: 'ch_1', customer: 'cus_1' })).toEqual({
    subscriptionId: undefined,
    customerId: 'cus_1',
    chargeId: undefined,
  });
  expect(read('charge.dispute.created', { id: 'du_1', charge: 'ch_1' })).toMatchObject({ chargeId: 'ch_1' });
  const expanded = { id: 'du_1', charge: { id: 'ch_1', customer: 'cus_1' } };
  expect(read('charge.dispute.closed', expanded)).toMatchObject({ customerId: 'cus_1', chargeId: undefined });
});

test('odd objects, thin events, connected accounts and other types signal nothing', () => {
  expect(read('customer.created', { id: 'cus_1' })).toBeUndefined();
  expect(read('invoice.paid', { id: 'in_1', subscription: 'sub_1' }, { account: 'acct_1' })).toBeUndefined();
  expect(readReferences(parseStripeEvent('{"id":"evt_1","type":"invoice.paid"}'))).toBeUndefined();
  expect(read('invoice.paid', { id: 'in_1', subscription: 7, parent: 'x', customer: ['y'] })).toEqual({
    subscriptionId: undefined,
    customerId: undefined,
    chargeId: undefined,
  });
});
