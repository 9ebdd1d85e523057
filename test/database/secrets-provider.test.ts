import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { insertAgent } from '../../src/agents/store.ts';
import { migrate } from '../../src/database/migrations.ts';
import { checkSecretsProvider } from '../../src/database/secrets-provider.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { openEmpty } from './support.ts';

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
  await migrate(at.database);
  await checkStamp(at.database, { mode: 'sandbox', accounts: {} });
});
afterEach(() => at.close());

const [ONE, OTHER] = ['awskms://alias/one?region=eu-central-1', 'hashivault://other'];
const VAULT = 'azurekeyvault://agents.vault.azure.net/keys/k';
const check = (url: string, before?: string) => checkSecretsProvider(at.database, { url, before });
const recorded = async () =>
  (await at.database.selectFrom('installation').select('secrets_provider').executeTakeFirstOrThrow())
    .secrets_provider;
const addAgent = () =>
  insertAgent(at.database, {
    agentId: 'a1',
    userId: 'u1',
    region: 'eu-central',
    location: 'nbg1',
    plan: 'starter',
  });

test('passphrase installations move over by being started with another provider', async () => {
  await addAgent();
  await check('passphrase');
  await check(ONE);
  expect(await recorded()).toBe(ONE);
  await check(ONE);
});

test('another key is refused once there are agents, and nothing changes, unless the move is confirmed', async () => {
  await check(ONE);
  await check(OTHER);
  await check(ONE);
  await addAgent();
  for (const wrong of [OTHER, 'passphrase']) {
    await expect(check(wrong)).rejects.toThrow(`Set PULUMI_SECRETS_PROVIDER=${ONE}`);
    await expect(check(wrong, 'hashivault://third')).rejects.toThrow(/Nothing was changed/);
  }
  expect(await recorded()).toBe(ONE);
  await check('passphrase', ONE);
  expect(await recorded()).toBe('passphrase');
});

test('a key of Azure without its version is refused, but goes on where it is recorded, and moves from there', async () => {
  await expect(check(VAULT)).rejects.toThrow(/names no version.*\/keys\/k\/VERSION.*Nothing was changed/);
  expect(await recorded()).toBe('passphrase');
  await sql`update installation set secrets_provider = ${VAULT}`.execute(at.database);
  await addAgent();
  await check(VAULT);
  await check(`${VAULT}/0123`, VAULT);
  expect(await recorded()).toBe(`${VAULT}/0123`);
});
