import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { recordInputs } from '../../src/agents/record-inputs.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { insertAgent } from '../../src/agents/store.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { checkKeys } from '../../src/keys/check-keys.ts';
import { followEpochs, OtherPassphraseError } from '../../src/keys/epochs.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { announce } from '../../src/keys/processes.ts';
import { switchKey } from '../../src/rekey/switch.ts';
import { Secret } from '../../src/secret.ts';
import { agentInputs } from '../support/inputs.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';

const [RIGHT, WRONG, NEW] = ['the right passphrase', 'a wrong passphrase', 'a new passphrase'].map(
  (text) => new Secret(text),
) as [Secret, Secret, Secret];
const right = () => new Keyring(RIGHT);
const changing = () => new Keyring(NEW, RIGHT);

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await checkStamp(at.database, { mode: 'live', accounts: {} });
});

const installation = () =>
  at.database
    .selectFrom('installation')
    .select(['canary', 'key_id', 'former_key_id'])
    .executeTakeFirstOrThrow();

async function agentWithKeys(agentId: string, passphrase = RIGHT): Promise<void> {
  const row = { userId: 'u', region: 'eu-west', location: 'fsn1', plan: 'starter' };
  await insertAgent(at.database, { agentId, ...row });
  const secrets = createVault(passphrase).seal(agentId, generateAgentKeys(agentId));
  await at.database
    .transaction()
    .execute((trx) => recordInputs(trx, agentId, { inputs: agentInputs(agentId), secrets }));
}

test('the first start seals a canary; another passphrase is refused, and the canary stays', async () => {
  await checkKeys(at.database, right());
  const { canary, key_id: keyId } = await installation();
  expect(canary?.toString('latin1')).not.toContain('passphrase');
  expect(keyId).toBe(right().current.id);
  await expect(checkKeys(at.database, new Keyring(WRONG))).rejects.toThrow(
    /sealed with another PULUMI_CONFIG_PASSPHRASE/,
  );
  await checkKeys(at.database, right());
  expect((await installation()).canary).toEqual(canary);
});

test('a database without a canary is checked by its agents’ keys', async () => {
  await agentWithKeys('a1');
  await expect(checkKeys(at.database, new Keyring(WRONG))).rejects.toThrow(/PULUMI_CONFIG_PASSPHRASE/);
  expect((await installation()).canary).toBeNull();
  await checkKeys(at.database, right());
  expect((await installation()).canary).not.toBeNull();
});

test('keys that were sealed under a wrong passphrase do not lock out the right one', async () => {
  await agentWithKeys('a1');
  await agentWithKeys('a2', WRONG);
  await checkKeys(at.database, right());
});

test('a process with both passphrases seals with the former one until every process has the new one', async () => {
  await checkKeys(at.database, right(), (trx) => announce(trx, { processId: 'old', role: 'api' }, right()));
  const keyring = changing();
  await checkKeys(at.database, keyring);
  expect(keyring.sealing.id).toBe(right().current.id);
  expect(await switchKey(at.database, keyring)).toEqual({ result: 'waits', for: ['old (--role api)'] });
  await sql`update processes set seen_at = now() - interval '31 seconds'`.execute(at.database);
  expect(await switchKey(at.database, keyring)).toEqual({ result: 'switched' });
  await followEpochs(at.database, keyring);
  expect(keyring.sealing.id).toBe(keyring.current.id);
  // It is of no use any more, and says so.
  await expect(followEpochs(at.database, right())).rejects.toThrow(OtherPassphraseError);
});

test('while the passphrase changes, a start needs both, and the refusal counts what is left', async () => {
  await checkKeys(at.database, right());
  await agentWithKeys('a1');
  await checkKeys(at.database, changing());
  await switchKey(at.database, changing());
  await expect(checkKeys(at.database, right())).rejects.toThrow(/was changed at .* UTC.*has the former one/);
  await expect(checkKeys(at.database, new Keyring(NEW))).rejects.toThrow(
    /_BEFORE.*Still under it are agents: 1/,
  );
  await expect(checkKeys(at.database, new Keyring(WRONG, NEW))).rejects.toThrow(/is not the former one/);
  await expect(checkKeys(at.database, new Keyring(NEW, WRONG))).rejects.toThrow(/is not the former one/);
  const keyring = changing();
  await checkKeys(at.database, keyring);
  expect(keyring.versions.reveal()).toBe(right().current.versions.reveal());
});

test('a process that was paused during the change cannot seal with the former passphrase afterwards', async () => {
  await checkKeys(at.database, right());
  await switchKey(at.database, changing());
  await agentWithKeys('a1');
  await sql`update installation set former_key_id = null`.execute(at.database);
  await expect(agentWithKeys('a2')).rejects.toThrow(/sealed with a key that is not this installation's/);
  await agentWithKeys('a3', NEW);
});
