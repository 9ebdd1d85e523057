import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openRecord } from '../../src/agents/cloud-record.ts';
import { placeHold } from '../../src/agents/holds.ts';
import { createRecordSeal, RECORD_FORMAT } from '../../src/agents/record-seal.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { markDestroying } from '../../src/agents/store.ts';
import type { SshKey } from '../../src/hetzner/hetzner.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { digestOf, forgetChangedRecords, keepRecords, type RecordDeps } from '../../src/reconcile/records.ts';
import { listSealedPlaces } from '../../src/rekey/sealed-places.ts';
import { Secret } from '../../src/secret.ts';
import { agentInputs } from '../support/inputs.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { stampAsNew } from '../support/stamp.ts';

const [OLD, NEW] = [new Secret('the old passphrase'), new Secret('the new passphrase')];
const oldKeys = new Keyring(OLD);
const bothKeys = new Keyring(NEW, OLD);
const SERVER = 'srv-0123456789abcdef0123';

let at: OperationsFixture;
/** The SSH key at Hetzner; undefined: somebody has deleted it. */
let sshKey: SshKey | undefined;
let writes: number;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await sql`delete from cloud_records`.execute(at.database);
  await order(at, 'a1');
  const keys = generateAgentKeys('a1');
  const { sshPublicKey, hostPublicKey } = keys;
  const recorded = { ...agentInputs('a1'), serverName: SERVER, sshPublicKey, hostPublicKey };
  await sql`update agents set status = 'running', step = 'running', server_id = '1', server_name = ${SERVER},
    ipv4 = '192.0.2.1', ipv6 = '2001:db8::1', tailnet_ip = '100.64.0.1', tailnet_name = 'a1.tail.ts.net',
    inputs = ${JSON.stringify(recorded)}, secrets = ${oldSeals.vault.seal('a1', keys)}`.execute(at.database);
  sshKey = { id: '1', name: SERVER, labels: { 'agent-id': 'a1' }, publicKey: sshPublicKey };
  writes = 0;
});

const hetzner = {
  findSshKey: async () => sshKey,
  setSshKeyLabels: async (_: string, labels: Record<string, string>) => {
    writes += 1;
    sshKey = { ...sshKey!, labels };
  },
};
/** Of each keyring once: a new one derives its keys again, which is slow on purpose. */
const sealsOf = (keyring: Keyring) => ({
  keyring,
  vault: createVault(keyring),
  seal: createRecordSeal(keyring),
});
const [oldSeals, bothSeals] = [sealsOf(oldKeys), sealsOf(bothKeys)];
const deps = (seals = oldSeals): RecordDeps => ({
  ...seals,
  database: at.database,
  log: at.log,
  projects: new Map([['default', hetzner]]),
});
const readAtHetzner = ({ seal }: Pick<RecordDeps, 'seal'>) => openRecord(seal, SERVER, sshKey!.labels);
const row = () => at.database.selectFrom('cloud_records').selectAll().executeTakeFirst();
const countLeft = () =>
  listSealedPlaces({ database: at.database, keyring: bothKeys })
    .find(({ name }) => name === 'records at Hetzner')!
    .countLeft();

test('a record is written once, and again when what it says has changed', async () => {
  expect(await keepRecords(deps())).toBe(1);
  expect(sshKey?.labels).toMatchObject({ 'agent-id': 'a1', 'record-0': expect.any(String) });
  expect(await keepRecords(deps())).toBe(0);
  await at.database
    .transaction()
    .execute((trx) =>
      placeHold(trx, { agentId: 'a1', reason: 'abuse', by: 'ada', at: new Date(), note: 'x' }),
    );
  expect(await keepRecords(deps())).toBe(1);
  expect(await readAtHetzner(oldSeals)).toMatchObject({ id: 'a1', holds: [{ reason: 'abuse', by: 'ada' }] });
  expect(writes).toBe(2);
});

test('a record that an earlier version sealed is written again in this format', async () => {
  await keepRecords(deps());
  const labels = sshKey!.labels;
  await sql`update cloud_records set format = null`.execute(at.database);
  sshKey = { ...sshKey!, labels: { 'agent-id': 'a1', 'record-0': 'xAQx' } };
  expect(await keepRecords(deps())).toBe(1);
  expect(sshKey?.labels).toMatchObject(labels);
  expect(await row()).toMatchObject({ format: RECORD_FORMAT });
  expect(await keepRecords(deps())).toBe(0);
});

test('a key that an adoption gives to the agent meanwhile keeps the agent’s labels', async () => {
  const ofSlot = { 'agent-id': 'slot-0123456789abcdef01234567', 'managed-by': 'agents' };
  sshKey = { ...sshKey!, labels: ofSlot };
  const findSshKey = async () => {
    const read = sshKey;
    sshKey = { ...sshKey!, labels: { ...ofSlot, 'agent-id': 'a1' } };
    return read;
  };
  await keepRecords({ ...deps(), projects: new Map([['default', { ...hetzner, findSshKey }]]) });
  expect(sshKey.labels).toMatchObject({ 'agent-id': 'a1', 'record-0': expect.any(String) });
});

test('labels that somebody has changed are written again once the sweep has seen them', async () => {
  await keepRecords(deps());
  const changed = { ...sshKey!.labels, 'record-0': 'xAAAAx' };
  sshKey = { ...sshKey!, labels: changed };
  await forgetChangedRecords(at.database, [{ ownerId: 'a1', digest: digestOf(changed) }]);
  expect(await keepRecords(deps())).toBe(1);
  expect(await readAtHetzner(oldSeals)).toMatchObject({ id: 'a1' });
});

test('until a rebuild has read the records, none is written over, not even one that was begun before', async () => {
  const recovery = (value: string) => sql`update installation set recovery = ${value}`.execute(at.database);
  await stampAsNew(at.database);
  await recovery('needed');
  expect(await keepRecords(deps())).toBe(0);
  await recovery('none');
  const findSshKey = async () => {
    await recovery('needed');
    return sshKey;
  };
  await keepRecords({ ...deps(), projects: new Map([['default', { ...hetzner, findSshKey }]]) });
  expect(await row()).toMatchObject({ seen: null, error: expect.stringMatching(/newer than the row/) });
  expect(writes).toBe(0);
});

test('a key that is gone, or another’s, gets no record, and is tried again later', async () => {
  const own = sshKey!;
  sshKey = undefined;
  expect(await keepRecords(deps())).toBe(1);
  expect(await row()).toMatchObject({ seen: null, error: expect.stringContaining('no SSH key') });
  expect(await keepRecords(deps())).toBe(0);
  await sql`update cloud_records set retry_at = now()`.execute(at.database);
  sshKey = { ...own, labels: { 'agent-id': 'a2' }, publicKey: 'ssh-ed25519 AAAA other' };
  expect(await keepRecords(deps())).toBe(1);
  expect(await row()).toMatchObject({ error: expect.stringContaining('not that of a1') });
  expect(writes).toBe(0);
});

test('while another worker writes records, this one does not', async () => {
  let inner: number | undefined;
  const findSshKey = async () => {
    inner = await keepRecords(deps());
    return sshKey;
  };
  await keepRecords({
    ...deps(),
    projects: new Map([['default', { ...hetzner, findSshKey }]]),
  });
  expect([inner, writes]).toEqual([0, 1]);
});

test('a change of the passphrase writes each again, and does not wait for agents that are gone', async () => {
  await keepRecords(deps());
  expect(await countLeft()).toBe(1);
  bothKeys.sealWith(bothKeys.current.id);
  expect(await keepRecords(deps(bothSeals))).toBe(1);
  expect(await countLeft()).toBe(0);
  expect(await readAtHetzner(sealsOf(new Keyring(NEW)))).toMatchObject({ id: 'a1' });
  await sql`update cloud_records set key_id = ${oldKeys.current.id}`.execute(at.database);
  expect(await countLeft()).toBe(1);
  await at.database.transaction().execute((trx) => markDestroying(trx, 'a1'));
  expect(await countLeft()).toBe(0);
});
