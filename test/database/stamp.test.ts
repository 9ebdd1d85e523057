import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { migrate } from '../../src/database/migrations.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { openEmpty } from './support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
  await migrate(at.database);
});
afterEach(() => at.close());

const accountsNow = async () =>
  (await at.database.selectFrom('installation').selectAll().executeTakeFirstOrThrow()).accounts;

test('the first start stamps the database, and the same configuration is accepted again', async () => {
  await checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one' } });
  await checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one' } });
  expect(await accountsNow()).toEqual({ hcloud: 'one' });
});

test('another mode is refused', async () => {
  await checkStamp(at.database, { mode: 'sandbox', accounts: {} });
  await expect(checkStamp(at.database, { mode: 'live', accounts: {} })).rejects.toThrow(
    /belongs to sandbox mode/,
  );
});

test('another account is refused by name, and the stamp stays', async () => {
  await checkStamp(at.database, {
    mode: 'live',
    accounts: { hcloud: 'one', stripe: 'one', tailscale: 'one' },
  });
  const other = checkStamp(at.database, {
    mode: 'live',
    accounts: { hcloud: 'one', stripe: 'two', tailscale: 'two', extra: 'new' },
  });
  await expect(other).rejects.toThrow(/another stripe and tailscale account/);
  expect(await accountsNow()).toEqual({ hcloud: 'one', stripe: 'one', tailscale: 'one' });
});

test('an account that was not configured before is added and holds from then on', async () => {
  await checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one' } });
  await checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one', github: 'one' } });
  const other = checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one', github: 'two' } });
  await expect(other).rejects.toThrow(/another github account/);
});

test('of two first starts with different accounts, one is refused', async () => {
  const answers = await Promise.allSettled(
    ['one', 'two'].map((hcloud) => checkStamp(at.database, { mode: 'live', accounts: { hcloud } })),
  );
  expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected']);
});

describe('the account that a vendor reports', () => {
  const start = (text: string, identity?: string, unknown: Record<string, string> = {}) =>
    checkStamp(at.database, {
      mode: 'live',
      accounts: { stripe: text },
      unknown,
      ...(identity === undefined ? {} : { identities: { stripe: identity } }),
    });

  test('decides: another key of the same account is accepted, and its text holds from then on', async () => {
    await start('one', 'acct_1');
    await start('two', 'acct_1');
    expect(await accountsNow()).toEqual({ stripe: 'two' });
  });

  test('refuses another account under the same text, and names both', async () => {
    await start('-', 'acct_1');
    await expect(start('-', 'acct_2')).rejects.toThrow(/another stripe account.*acct_1.*acct_2/);
    await start('-', 'acct_1');
  });

  test('names the variable and the vendor’s message if the key is refused', async () => {
    await start('one', 'acct_1');
    await expect(start('two', undefined, { stripe: 'GET /v1/account: 401 Invalid API Key' })).rejects.toThrow(
      /acct_1; .*\(GET \/v1\/account: 401 Invalid API Key\)\. .*set STRIPE_SECRET_KEY to that account’s/,
    );
  });

  test('is stored once known; until then, and while the vendor does not answer, the text decides', async () => {
    await start('one');
    await expect(start('two', 'acct_1')).rejects.toThrow(/another stripe account/);
    await start('one', 'acct_1');
    await start('one');
    await expect(start('two')).rejects.toThrow(/acct_1; the current one could not be determined/);
    await start('two', 'acct_1');
  });
});

test('the database of a rehearsal is refused in live mode', async () => {
  await checkStamp(at.database, { mode: 'rehearsal', accounts: {} });
  await expect(checkStamp(at.database, { mode: 'live', accounts: {} })).rejects.toThrow(
    /belongs to rehearsal mode and MODE is live/,
  );
});
