import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { requireStrict } from '../../../sandbox/stripe/strict-schema.ts';
import { buy, type SandboxFixture, setup, subscriptionSession } from '../../support/sandbox.ts';

let sandbox: SandboxFixture;
let subscriptionId: string;
beforeAll(async () => {
  sandbox = await setup();
  subscriptionId = String((await buy(sandbox)).subscription);
});
afterAll(() => sandbox.close());

/** Bypasses the types of the official client. */
const any = <T>(parameters: object) => parameters as T;

test.each<[string, string, (stripe: Stripe) => Promise<unknown>]>([
  ['create', 'foo', (stripe) => stripe.customers.create(any({ email: 'a@x', foo: 1 }))],
  ['list', 'foo', (stripe) => stripe.customers.list(any({ foo: 1 }))],
  ['retrieve', 'foo', (stripe) => stripe.customers.retrieve('cus_none', any({ foo: 1 }))],
  ['search', 'foo', (stripe) => stripe.customers.search(any({ query: "name:'a'", foo: 1 }))],
  ['update', 'trial', (stripe) => stripe.subscriptions.update(subscriptionId, any({ trial: 1 }))],
  ['cancel', 'foo', (stripe) => stripe.subscriptions.cancel(subscriptionId, any({ foo: 1 }))],
  ['events', 'foo', (stripe) => stripe.events.list(any({ foo: 1 }))],
  [
    'a parameter within another',
    'line_items[0][foo]',
    (stripe) =>
      stripe.checkout.sessions.create(
        any({ ...subscriptionSession, line_items: [{ ...subscriptionSession.line_items![0], foo: 1 }] }),
      ),
  ],
  [
    'one of several forms',
    'pause_collection[until]',
    (stripe) =>
      stripe.subscriptions.update(
        subscriptionId,
        any({ pause_collection: { behavior: 'void', until: 'later' } }),
      ),
  ],
  ['a range', 'created[after]', (stripe) => stripe.events.list(any({ created: { after: 1 } }))],
])('an unknown parameter gets Stripe’s own error: %s', async (_what, param, call) => {
  await expect(call(sandbox.stripe)).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    code: 'parameter_unknown',
    param,
    message: `Received unknown parameter: ${param}`,
  });
});

test('several unknown parameters are all named, and nothing is executed', async () => {
  const wrong = sandbox.stripe.customers.create(any({ email: 'nobody@x', foo: 1, bar: 2 }));
  await expect(wrong).rejects.toMatchObject({ message: 'Received unknown parameters: foo, bar' });
  expect((await sandbox.stripe.customers.list({ email: 'nobody@x' })).data).toEqual([]);
});

test.each<[string, object, (stripe: Stripe) => Promise<unknown>]>([
  [
    'a limit that is too large',
    { code: 'parameter_invalid_integer', param: 'limit' },
    (stripe) => stripe.customers.list({ limit: 101 }),
  ],
  [
    'an invalid number',
    { code: 'parameter_invalid_integer', message: 'Invalid integer: ten' },
    (stripe) => stripe.customers.list(any({ limit: 'ten' })),
  ],
  [
    'an empty text',
    { code: 'parameter_invalid_empty', param: 'name' },
    (stripe) => stripe.products.create({ name: '' }),
  ],
  [
    'a value that is not allowed',
    { param: 'status', message: 'Invalid status: must be one of open, complete, or expired' },
    (stripe) => stripe.checkout.sessions.list(any({ status: 'lost' })),
  ],
])('refuses %s as Stripe does', async (_what, error, call) => {
  await expect(call(sandbox.stripe)).rejects.toMatchObject({ statusCode: 400, ...error });
});

test('empty text unsets a parameter that can be unset', async () => {
  const { id } = await sandbox.stripe.customers.create({ name: 'A', description: 'B' });
  const updated = await sandbox.stripe.customers.update(id, any({ description: '' }));
  expect(updated).toMatchObject({ name: 'A', description: null });
});

test('a schema that drops unknown parameters is refused when it is declared', () => {
  const open = z.object({ a: z.string() });
  const closed = z.strictObject({ a: z.string(), metadata: z.record(z.string(), z.string()) });
  expect(() => requireStrict(closed, '/x')).not.toThrow();
  for (const wrapped of [open, z.array(open), open.optional(), z.union([z.literal(''), open.partial()])])
    expect(() => requireStrict(z.strictObject({ deep: wrapped }), '/x')).toThrow('/x[deep]');
});
