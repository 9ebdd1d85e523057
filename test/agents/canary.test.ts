import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkPassphrase } from '../../src/agents/canary.ts';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { insertAgent } from '../../src/agents/store.ts';
import { migrate } from '../../src/database/migrations.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { Secret } from '../../src/secret.ts';
import { openEmpty } from '../database/support.ts';
import { agentInputs } from '../support/inputs.ts';

const right = createVault(new Secret('the right passphrase'));
const wrong = createVault(new Secret('a wrong passphrase'));

let at: Awaited<ReturnType<typeof openEmpty>>;
beforeEach(async () => {
  at = await openEmpty();
  await migrate(at.database);
  await checkStamp(at.database, { mode: 'live', accounts: {} });
});
afterEach(() => at.close());

const canary = async () =>
  (await at.database.selectFrom('installation').select('canary').executeTakeFirstOrThrow()).canary;

async function agentWithKeys(agentId: string, vault = right): Promise<void> {
  await insertAgent(at.database, {
    agentId,
    userId: 'u',
    region: 'eu-west',
    location: 'fsn1',
    plan: 'starter',
  });
  const secrets = vault.seal(agentId, generateAgentKeys(agentId));
  await at.database
    .transaction()
    .execute((trx) => recordInputs(trx, agentId, { inputs: agentInputs(agentId), secrets }));
}

test('the first start seals a canary; another passphrase is refused, and the canary stays', async () => {
  await checkPassphrase(at.database, right);
  const sealed = await canary();
  expect(sealed?.toString('latin1')).not.toContain('passphrase');
  await expect(checkPassphrase(at.database, wrong)).rejects.toThrow(
    /sealed with another PULUMI_CONFIG_PASSPHRASE/,
  );
  await checkPassphrase(at.database, right);
  expect(await canary()).toEqual(sealed);
});

test('a database without a canary is checked by its agents’ keys', async () => {
  await agentWithKeys('a1');
  await expect(checkPassphrase(at.database, wrong)).rejects.toThrow(/PULUMI_CONFIG_PASSPHRASE/);
  expect(await canary()).toBeNull();
  await checkPassphrase(at.database, right);
  expect(await canary()).not.toBeNull();
});

test('keys that were sealed under a wrong passphrase do not lock out the right one', async () => {
  await agentWithKeys('a1');
  await agentWithKeys('a2', wrong);
  await checkPassphrase(at.database, right);
});
