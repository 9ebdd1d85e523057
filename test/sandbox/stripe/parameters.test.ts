import type Stripe from 'stripe';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { requireStrict } from '../../../sandbox/stripe/strict-schema.ts';
import { type Bed, buy, setup, subscriptionSession } from './setup.ts';

let bed: Bed;
let subscriptionId: string;
beforeAll(async () => {
  bed = await setup();
  subscriptionId = String((await buy(bed)).subscription);
});
afterAll(() => bed.close());

/** What the types of the official client would not let pass. */
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
])('what Stripe does not know gets Stripe’s own error: %s', async (_what, param, call) => {
  await expect(call(bed.stripe)).rejects.toMatchObject({
    type: 'StripeInvalidRequestError',
    statusCode: 400,
    code: 'parameter_unknown',
    param,
    message: `Received unknown parameter: ${param}`,
  });
});

test('several unknown parameters are all named, and nothing is carried out', async () => {
  const wrong = bed.stripe.customers.create(any({ email: 'nobody@x', foo: 1, bar: 2 }));
  await expect(wrong).rejects.toMatchObject({ message: 'Received unknown parameters: foo, bar' });
  expect((await bed.stripe.customers.list({ email: 'nobody@x' })).data).toEqual([]);
});

test.each<[string, object, (stripe: Stripe) => Promise<unknown>]>([
  [
    'a limit that is too large',
    { code: 'parameter_invalid_integer', param: 'limit' },
    (stripe) => stripe.customers.list({ limit: 101 }),
  ],
  [
    'a number that is none',
    { code: 'parameter_invalid_integer', message: 'Invalid integer: ten' },
    (stripe) => stripe.customers.list(any({ limit: 'ten' })),
  ],
  [
    'an empty text',
    { code: 'parameter_invalid_empty', param: 'name' },
    (stripe) => stripe.products.create({ name: '' }),
  ],
  [
    'a word that is not among those allowed',
    { param: 'status', message: 'Invalid status: must be one of open, complete, or expired' },
    (stripe) => stripe.checkout.sessions.list(any({ status: 'lost' })),
  ],
])('refuses %s as Stripe does', async (_what, error, call) => {
  await expect(call(bed.stripe)).rejects.toMatchObject({ statusCode: 400, ...error });
});

test('an empty text unsets what can be unset', async () => {
  const { id } = await bed.stripe.customers.create({ name: 'A', description: 'B' });
  const updated = await bed.stripe.customers.update(id, any({ description: '' }));
  expect(updated).toMatchObject({ name: 'A', description: null });
});

test('a table of parameters that would drop names it does not know is refused when it is declared', () => {
  const open = z.object({ a: z.string() });
  const closed = z.strictObject({ a: z.string(), metadata: z.record(z.string(), z.string()) });
  expect(() => requireStrict(closed, '/x')).not.toThrow();
  for (const wrapped of [open, z.array(open), open.optional(), z.union([z.literal(''), open.partial()])])
    expect(() => requireStrict(z.strictObject({ deep: wrapped }), '/x')).toThrow('/x[deep]');
});
