import { expect, test } from 'vitest';
import { toPayPage } from '../../src/stripe/pay-page.ts';

const ours = 'https://invoice.stripe.com/i/acct_1/live_YWNj?s=ap';

test.each([ours, 'https://stripe.com/x', 'https://billing.eu.stripe.com/p/1'])('%s is Stripe’s', (url) => {
  expect(toPayPage(url, undefined)).toBe(url);
});

test.each([
  'http://invoice.stripe.com/i/1',
  'https://invoice.stripe.com.evil.example/i/1',
  'https://evilstripe.com/i/1',
  'https://user:password@invoice.stripe.com/i/1',
  'https://invoice.stripe.com:8443/i/1',
  'https://invoice.stripe.com@evil.example/',
  'javascript:alert(1)//stripe.com',
  `${ours}${'x'.repeat(2_000)}`,
  'invoice.stripe.com/i/1',
  '',
  null,
  undefined,
  7,
])('%s is not', (url) => {
  expect(toPayPage(url, undefined)).toBeNull();
});

test('what stands in for Stripe has pages of its own, and Stripe’s do not count there', () => {
  const standIn = 'http://127.0.0.1:4010';
  expect(toPayPage(`${standIn}/invoice/in_1`, standIn)).toBe(`${standIn}/invoice/in_1`);
  expect(toPayPage(`${standIn}/invoice/in_1`, undefined)).toBeNull();
  for (const other of [ours, 'http://127.0.0.1:4011/invoice/in_1', 'http://localhost:4010/invoice/in_1'])
    expect(toPayPage(other, standIn)).toBeNull();
});
