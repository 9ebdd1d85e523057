import { afterAll, beforeAll, expect, test } from 'vitest';
import { buy, type SandboxFixture, setup } from '../../support/sandbox.ts';
import { failNext, subscribe } from '../../support/sandbox-stripe.ts';

let sandbox: SandboxFixture;
beforeAll(async () => {
  sandbox = await setup();
});
afterAll(() => sandbox.close());

const ids = (list: { data: { id: string }[] }) => list.data.map(({ id }) => id);

test('cursors work in both directions, and has_more refers to that direction', async () => {
  const made: string[] = [];
  for (let i = 0; i < 5; i++) made.unshift((await sandbox.stripe.customers.create({ email: 'cursor@x' })).id);
  const list = (page: object) => sandbox.stripe.customers.list({ email: 'cursor@x', limit: 2, ...page });
  const after = await list({ starting_after: made[1]! });
  expect([ids(after), after.has_more]).toEqual([[made[2], made[3]], true]);
  const last = await list({ starting_after: made[3]! });
  expect([ids(last), last.has_more]).toEqual([[made[4]], false]);
  const before = await list({ ending_before: made[4]! });
  expect([ids(before), before.has_more]).toEqual([[made[2], made[3]], true]);
  const first = await list({ ending_before: made[1]! });
  expect([ids(first), first.has_more]).toEqual([[made[0]], false]);
});

test.each(['starting_after', 'ending_before'])('an unknown cursor is refused: %s', async (param) => {
  await expect(sandbox.stripe.customers.list({ [param]: 'cus_none' })).rejects.toMatchObject({
    statusCode: 400,
    code: 'resource_missing',
    param,
    message: "No such customer: 'cus_none'",
  });
  await expect(sandbox.stripe.events.list({ [param]: 'evt_none' })).rejects.toMatchObject({ param });
});

test('two cursors at once are refused', async () => {
  const { id } = await sandbox.stripe.customers.create();
  await expect(
    sandbox.stripe.customers.list({ starting_after: id, ending_before: id }),
  ).rejects.toMatchObject({
    message: 'You may only specify one of these parameters: ending_before, starting_after.',
  });
});

test('lists are filtered by nested fields, and by one of several values', async () => {
  const { subscription } = await buy(sandbox);
  const bought = await sandbox.stripe.subscriptions.retrieve(String(subscription));
  const price = bought.items.data[0]!.price;
  expect(ids(await sandbox.stripe.subscriptions.list({ price: price.id }))).toEqual([bought.id]);
  const recurring = { currency: 'eur', unit_amount: 1, product: String(price.product) };
  for (const lookup_key of ['one', 'two', 'three'])
    await sandbox.stripe.prices.create({ ...recurring, lookup_key });
  const found = await sandbox.stripe.prices.list({ lookup_keys: ['one', 'three'] });
  expect(found.data.map(({ lookup_key }) => lookup_key)).toEqual(['three', 'one']);
  await sandbox.stripe.prices.update(found.data[0]!.id, { active: false, lookup_key: '' });
  expect((await sandbox.stripe.prices.list({ lookup_keys: ['three'] })).data).toEqual([]);
});

test('a subscription’s open invoices are listed by themselves, page by page', async () => {
  const { id } = await subscribe(sandbox);
  const older = await failNext(sandbox, id);
  const newer = await failNext(sandbox, id);
  await subscribe(sandbox);
  const list = (page: object = {}) =>
    sandbox.stripe.invoices.list({ subscription: id, status: 'open', expand: ['data.payments'], ...page });
  expect(ids(await list())).toEqual([newer.id, older.id]);
  const first = await list({ limit: 1 });
  expect([ids(first), first.has_more]).toEqual([[newer.id], true]);
  const last = await list({ limit: 1, starting_after: newer.id });
  expect([ids(last), last.has_more]).toEqual([[older.id], false]);
  await sandbox.stripe.invoices.pay(older.id!, { paid_out_of_band: true });
  expect(ids(await list())).toEqual([newer.id]);
  expect((await sandbox.stripe.invoices.list({ subscription: id, limit: 2 })).has_more).toBe(true);
});

test('searches by exact and by partial text, by numbers and by metadata, page by page', async () => {
  const made = [];
  for (const name of ['Ada', 'Adam', "O'Hara"])
    made.push(await sandbox.stripe.customers.create({ name, metadata: { agent: name.toLowerCase() } }));
  const search = async (query: string) =>
    (await sandbox.stripe.customers.search({ query })).data.map(({ name }) => name);
  expect(await search("name:'ada'")).toEqual(['Ada']);
  expect(await search("name~'ada'")).toEqual(['Adam', 'Ada']);
  expect(await search("metadata['agent']:'adam'")).toEqual(['Adam']);
  expect(await search('name:"O\'Hara"')).toEqual(["O'Hara"]);
  expect(await search("name:'Ada' OR name:'Adam'")).toEqual(['Adam', 'Ada']);
  expect(await search(`name~'ada' AND -name:'Ada' AND created>=${made[0]!.created}`)).toEqual(['Adam']);
  expect(await search("name~'ada' created>9999999999")).toEqual([]);
  expect(await search("metadata['none']:null AND name:'Ada'")).toEqual(['Ada']);

  const first = await sandbox.stripe.customers.search({ query: "name~'a'", limit: 1 });
  expect(first).toMatchObject({ object: 'search_result', has_more: true, url: '/v1/customers/search' });
  const all = await sandbox.stripe.customers
    .search({ query: "name~'ada'", limit: 1 })
    .autoPagingToArray({ limit: 9 });
  expect(all.map(({ name }) => name)).toEqual(['Adam', 'Ada']);
});

test('searches other objects by their own fields, with expand', async () => {
  const { subscription } = await buy(sandbox);
  const query = `subscription:'${subscription}' AND status:'paid' AND total>100`;
  const { data } = await sandbox.stripe.invoices.search({ query, expand: ['data.customer'] });
  expect(data).toMatchObject([{ object: 'invoice', customer: { object: 'customer' } }]);
});

test.each([
  ["colour:'red'", /Field `colour` is an unsupported search field for resource `customers`/],
  ["name:'a", /unable to parse/],
  ["name:'a' AND email:'b' OR email:'c'", /unable to parse/],
  ["created>'soon'", /unable to parse/],
  ["created~'1'", /does not support operator/],
])('refuses a query as Stripe does: %s', async (query, message) => {
  await expect(sandbox.stripe.customers.search({ query })).rejects.toMatchObject({
    statusCode: 400,
    message: expect.stringMatching(message),
  });
});
