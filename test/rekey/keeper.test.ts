import { type KyselyPlugin, sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { audit } from '../../src/agents/audit.ts';
import { createVault, generateAgentKeys } from '../../src/agents/secrets.ts';
import { sealAudit } from '../../src/audit/seal.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import { createPool, type Database } from '../../src/database/connect.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { checkKeys } from '../../src/keys/check-keys.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { announce } from '../../src/keys/processes.ts';
import { systemClock } from '../../src/processes/clock.ts';
import { noFence } from '../../src/pulumi/fence.ts';
import { StateKeys } from '../../src/pulumi/state-cipher.ts';
import { createStatePassphrases, type StatePassphrases } from '../../src/pulumi/state-passphrases.ts';
import { Rekeying } from '../../src/rekey/keeper.ts';
import { readRekeyStatus } from '../../src/rekey/status.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { addSlot } from '../support/slots.ts';

const passphrase = (number: number) => new Secret(`passphrase number ${number}`);
const known = new Map<number, Keyring>();
/** Deriving its keys takes time. */
function alone(number: number): Keyring {
  const keyring = known.get(number) ?? new Keyring(passphrase(number));
  known.set(number, keyring);
  return keyring;
}
const changing = (number: number) => new Keyring(passphrase(number), passphrase(number - 1));
const POLL = { timeout: 20_000, interval: 10 };
const STACKS = ['agent-a1', 'foundation-default', 'agent-stray'];

let at: OperationsFixture;
let pool: ReturnType<typeof createPool>;
let slotId: string;
beforeAll(async () => {
  at = await openOperations();
  await checkStamp(at.database, { mode: 'sandbox', accounts: {} });
  pool = createPool(new Secret(at.url), 3, 'rekey test');
  await checkKeys(at.database, alone(0));
  await order(at, 'a1');
  const vault = createVault(alone(0));
  const secrets = vault.seal('a1', generateAgentKeys('a1'));
  await at.database.updateTable('agents').set({ secrets }).execute();
  slotId = await addSlot(at, vault);
  await sql`insert into foundations (project) values ('default')`.execute(at.database);
  await sql`create table pulumi_state (key text primary key, data json not null,
    updated_at timestamptz not null default now())`.execute(at.database);
  const state = JSON.stringify({
    checkpoint: { latest: { secrets_providers: { state: await firstState() } } },
  });
  for (const stack of STACKS)
    await pool.query('insert into pulumi_state (key, data) values ($1, $2)', [
      `${databaseName()}/.pulumi/stacks/agents/${stack}.json`,
      JSON.stringify({ data: Buffer.from(state).toString('base64') }),
    ]);
});
afterAll(async () => {
  await pool.end();
  await at.close();
});

const firstState = async () => ({ salt: (await new StateKeys().create(alone(0).current)).salt });
const databaseName = () => new URL(at.url).pathname.slice(1);
let opened: StatePassphrases | undefined;
const states = () => {
  opened ??= createStatePassphrases(pool, { database: databaseName(), project: 'agents' });
  return opened;
};

/** The database of a process that is killed at its statement number `last`: what is not committed is gone. */
function dyingAt(last: number): Database {
  let count = 0;
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      count += 1;
      if (count >= last) throw new Error('killed');
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  return at.database.withPlugin(plugin);
}

const quiet = pino({ level: 'silent' });

/** A process that changes the passphrase to this number. */
function rekeying(number: number, database = at.database): Rekeying {
  const keyring = changing(number);
  const backendUrl = new Secret(at.url);
  const openStacks = async () => ({
    deps: { database, keyring, fence: noFence(backendUrl), passphrases: states(), backendUrl },
    close: async () => {},
  });
  const deps = { database, log: quiet, keyring, clock: systemClock, openStacks };
  return new Rekeying(deps, new AbortController().signal);
}

/** Starts a process with the new and the former passphrase, as the service does, and lets it finish. */
async function finish(number: number): Promise<void> {
  const keyring = changing(number);
  const own = { processId: 'the process', role: 'all' as const };
  await checkKeys(at.database, keyring, (trx) => announce(trx, own, keyring));
  const process = rekeying(number);
  await expect
    .poll(async () => {
      await process.round();
      await checkKeys(at.database, keyring, (trx) => announce(trx, own, keyring));
      return readRekeyStatus(at.database);
    }, POLL)
    .toMatchObject({ state: 'done' });
}

/** Everything opens with the passphrase of this number alone, and nothing with the one before. */
async function expectChanged(number: number): Promise<void> {
  const [present, former] = [alone(number), alone(number - 1)];
  const { rows } = await sql<{ id: string; secrets: Buffer }>`
    select agent_id as id, secrets from agents where secrets is not null
    union all select slot_id, secrets from slots where secrets is not null`.execute(at.database);
  expect(rows.map(({ id }) => id).sort()).toEqual(['a1', slotId].sort());
  for (const { id, secrets } of rows) {
    createVault(present).open(id, secrets);
    expect(createVault(former).canOpen(id, secrets)).toBe(false);
  }
  expect((await states().listUnder(present.current)).sort()).toEqual([...STACKS].sort());
  expect(await states().listUnder(former.current)).toEqual([]);
  await checkKeys(at.database, present);
  await expect(checkKeys(at.database, former)).rejects.toThrow(/former/);
  await at.database
    .transaction()
    .execute((trx) => audit(trx, { actor: 'test', action: 'test.done', details: { number } }));
  while ((await sealAudit(at.database, present)) > 0);
  expect(await verifyAudit(at.database, present)).toMatchObject({ waiting: 0, flaw: null });
  // Join names of all passphrases so far are known, and versions of the playbook stay.
  expect(createVault(present).joinNames('a1', 1)).toContain(createVault(alone(0)).joinName('a1', 1));
  expect(present.versions.reveal()).toBe(alone(0).versions.reveal());
}

test('a change that is killed at any statement is completed by the next process', async () => {
  let number = 0;
  // The last of them is never reached: that process completes the change itself.
  for (const last of [3, 9, 12, 15, 20, 1_000]) {
    number += 1;
    const killed = rekeying(number, dyingAt(last));
    await killed.round();
    await finish(number);
    await expectChanged(number);
  }
}, 120_000);

test('the status says what is left, whom the change waits for, and when it is done', async () => {
  const number = 7;
  await sql`delete from processes`.execute(at.database);
  expect(await readRekeyStatus(at.database)).toMatchObject({ state: 'none' });
  const say = (processId: string, keyring: Keyring) =>
    at.database.transaction().execute((trx) => announce(trx, { processId, role: 'worker' }, keyring));
  const keyring = changing(number);
  await checkKeys(at.database, keyring);
  await say('new', keyring);
  await say('old', alone(number - 1));
  const process = rekeying(number);
  await process.round();
  expect(await readRekeyStatus(at.database)).toEqual({
    state: 'waiting',
    waitsFor: ['old (--role worker)'],
    left: { agents: 1, slots: 1, images: 0, agent_snapshots: 0, stacks: 0 },
    problems: [],
  });
  const waiting = await at.database.selectFrom('findings').selectAll().executeTakeFirstOrThrow();
  expect(waiting).toMatchObject({
    class: 'configuration',
    cause: expect.stringContaining('old (--role worker)'),
  });
  await sql`delete from processes where process_id = 'old'`.execute(at.database);
  await sql`update operations set status = 'active', worker_id = 'w', lease_until = now() + interval '1 minute', claimed_at = now()`.execute(
    at.database,
  );
  await process.round();
  // Its agent is being worked on.
  expect(await readRekeyStatus(at.database)).toMatchObject({
    state: 'moving',
    left: { agents: 0, slots: 0, images: 0, agent_snapshots: 0, stacks: 1 },
  });
  await sql`update operations set status = 'queued', worker_id = null, lease_until = null`.execute(
    at.database,
  );
  await checkKeys(at.database, keyring);
  await say('new', keyring);
  await expect
    .poll(async () => {
      await process.round();
      return readRekeyStatus(at.database);
    })
    .toMatchObject({ state: 'done', left: { stacks: 0 } });
  expect(await at.database.selectFrom('findings').selectAll().execute()).toEqual([]);
  await say('new', alone(number));
  expect(await readRekeyStatus(at.database)).toMatchObject({ state: 'none' });
  await expectChanged(number);
}, 120_000);

test('values that neither passphrase opens are named, and do not hold the change up', async () => {
  const stray = createVault(new Secret('of an older version')).seal('a1', generateAgentKeys('a1'));
  await sql`alter table agents disable trigger agents_present_key`.execute(at.database);
  await at.database.updateTable('agents').set({ secrets: stray }).execute();
  await sql`alter table agents enable trigger agents_present_key`.execute(at.database);
  await sql`delete from processes`.execute(at.database);
  await finish(8);
  expect(await readRekeyStatus(at.database)).toMatchObject({ state: 'done' });
  const { rekey_problems: problems } = await at.database
    .selectFrom('installation')
    .select('rekey_problems')
    .executeTakeFirstOrThrow();
  expect(problems).toEqual([expect.stringContaining('secrets of agents: a1')]);
}, 120_000);
