import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { readLines } from '../../src/backups/format.ts';
import { hasStacks } from '../../src/backups/in-use.ts';
import { createMac } from '../../src/backups/mac.ts';
import { type BackupDeps, makeBackup } from '../../src/backups/make.ts';
import { restore } from '../../src/backups/restore.ts';
import { startBackups } from '../../src/backups/schedule.ts';
import { connect } from '../../src/backups/scratch.ts';
import { seal, unseal } from '../../src/backups/seal.ts';
import { openStore } from '../../src/backups/store.ts';
import type { BackupStore } from '../../src/config/backups.ts';
import { createDatabase as createConnection, createPool } from '../../src/database/connect.ts';
import { migrate, SCHEMA_VERSION } from '../../src/database/migrations.ts';
import { whileNothingStarts, whileStarting } from '../../src/database/restore-lock.ts';
import { checkStamp } from '../../src/database/stamp.ts';
import { checkKeys, sealCanary } from '../../src/keys/check-keys.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { insertOperation } from '../../src/operations/requests.ts';
import { backupProbe, readBackups } from '../../src/reconcile/checks/backup-probe.ts';
import { runProbe } from '../../src/reconcile/checks/probe.ts';
import { Secret } from '../../src/secret.ts';
import { type KeyService, noKeyService, startKeyService } from '../support/key-service.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const PASSPHRASE = new Secret('the installation’s passphrase');
const KEYRING = new Keyring(PASSPHRASE);
/** Where the passphrase is not the point: to derive its key takes a third of a second, each time. */
const IDENTITY = await generateIdentity();
const RECIPIENTS = [await identityToRecipient(IDENTITY)];
let at: OperationsFixture;
let state: TestDatabase;
let folder: string;
beforeAll(async () => {
  [at, state] = await Promise.all([openOperations(), createDatabase()]);
  await query(
    state.url,
    'create table pulumi_state (key text primary key, data json not null, updated_at timestamptz not null default now())',
  );
});
afterAll(async () => {
  await at.close();
  await state.drop();
});
beforeEach(async () => {
  await at.empty();
  await sql`delete from backups`.execute(at.database);
  await query(state.url, 'delete from pulumi_state');
  folder = await mkdtemp(join(tmpdir(), 'agent-stacks-backups-'));
  await fill();
  return () => rm(folder, { recursive: true });
});

async function query(url: string, text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text, values)).rows;
  } finally {
    await client.end();
  }
}

const stateName = () => new URL(state.url).pathname.slice(1);

/** An installation with an agent, whose row has what is hard to write down, and its stack. */
async function fill(): Promise<void> {
  await checkStamp(at.database, { mode: 'live', accounts: { hcloud: 'one' } });
  await checkKeys(at.database, KEYRING);
  await at.database.transaction().execute(async (trx) => {
    const agents = ['a1', 'ünï'].map((userId, index) => ({
      agent_id: `a${index + 1}`,
      user_id: `${userId} "quoted" \\ 日本`,
      region: 'eu-west',
      location: 'fsn1',
      plan: 'starter',
      secrets: Buffer.from([0, 1, 255, index]),
      created_at: sql<Date>`timestamptz '2026-01-02 03:04:05.678901+00'`,
    }));
    await trx.insertInto('agents').values(agents).execute();
    for (const kind of ['provision', 'rebuild', 'destroy'] as const)
      await insertOperation(trx, at.queue, { agentId: kind === 'destroy' ? 'a2' : 'a1', kind });
  });
  for (const key of ['stacks/agents/agent-a1.json', 'locks/organization/agents/agent-a1/x.json'])
    await query(state.url, 'insert into pulumi_state (key, data) values ($1, $2)', [
      `${stateName()}/.pulumi/${key}`,
      '{"data": "e30="}',
    ]);
}

const deps = (changes: Partial<BackupDeps['backups']> = {}): BackupDeps => ({
  database: at.database,
  databaseUrl: new Secret(at.url),
  stateUrl: new Secret(state.url),
  keyring: KEYRING,
  backups: { to: { kind: 'folder', path: folder }, everyMs: 1, keep: 2, recipients: [], ...changes },
  dataDir: folder,
  log: at.log,
});

/** Two empty databases, as a new installation has them. */
async function openTargets(template?: 'service') {
  const [service, other] = await Promise.all([createDatabase(template), createDatabase()]);
  return {
    service: service.url,
    deps: {
      databaseUrl: new Secret(service.url),
      stateUrl: new Secret(other.url),
      mode: 'live' as const,
      keyring: KEYRING,
    },
    state: other.url,
    drop: () => Promise.all([service.drop(), other.drop()]),
  };
}

async function openFile(path: string, identities: string[] = []) {
  const [name, in_] = [path.split('/').at(-1)!, path.split('/').slice(0, -1).join('/')];
  const chunks = await openStore({ kind: 'folder', path: in_ }).get(name);
  return unseal(chunks, { passphrases: [PASSPHRASE], identities });
}

/** A backup of this text, as `restore` gets it. */
async function sealed(text: string): Promise<AsyncIterable<Uint8Array>> {
  const lines = (async function* () {
    yield text;
  })();
  const made = await seal(lines, { passphrase: PASSPHRASE, recipients: RECIPIENTS });
  return unseal(made, { passphrases: [], identities: [IDENTITY] });
}

async function migrateTo(url: string, version: string): Promise<void> {
  const database = createConnection(createPool(new Secret(url), 1, 'backup test'));
  await migrate(database, { to: version });
  await database.destroy();
}

/** A backup's text with its end, as this installation or another one makes it. */
function ended(text: string, rows: Record<string, number> = {}, keyring = KEYRING): string {
  const mac = createMac(keyring.current).update(text).digest('hex');
  return `${text}E${JSON.stringify({ rows, mac })}\n`;
}

const ADD_AGENT =
  "insert into agents (agent_id, user_id, region, location, plan) values ('later', 'u', 'r', 'l', 'p')";

const AGENTS =
  'select agent_id, user_id, secrets, created_at::text as at, search from agents order by agent_id';

vi.setConfig({ testTimeout: 120_000 });

describe('a backup', () => {
  test('comes back whole in other databases, and waits there for a look at the clouds', async () => {
    const made = await makeBackup(deps());
    expect(made).toMatchObject({
      isVerified: true,
      location: expect.stringMatching(/agent-stacks-live-[0-9a-f]{12}-/),
    });
    expect((await stat(made.location)).mode & 0o777).toBe(0o600);
    const targets = await openTargets();
    const loaded = await restore(targets.deps, await openFile(made.location), { force: false });
    expect(loaded.header).toMatchObject({ schema: SCHEMA_VERSION, mode: 'live', stateDatabase: stateName() });
    expect(await query(targets.service, AGENTS)).toEqual(await query(at.url, AGENTS));
    // Nobody holds a lock, and the keys name the database that the state is in now.
    const name = new URL(targets.state).pathname.slice(1);
    expect(await query(targets.state, 'select key from pulumi_state')).toEqual([
      { key: `${name}/.pulumi/stacks/agents/agent-a1.json` },
    ]);
    expect(await query(targets.service, 'select recovery from installation')).toEqual([
      { recovery: 'needed' },
    ]);
    // What would do harm if it were done again is over; numbers go on.
    expect(await query(targets.service, 'select kind, status from operations order by sequence')).toEqual([
      { kind: 'provision', status: 'queued' },
      { kind: 'rebuild', status: 'cancelled' },
      { kind: 'destroy', status: 'queued' },
    ]);
    const database = createConnection(createPool(new Secret(targets.service), 2, 'backup test'));
    const { sequence } = await database
      .insertInto('operations')
      .values({ agent_id: 'a1', kind: 'refresh', executor: 'local' })
      .returning('sequence')
      .executeTakeFirstOrThrow();
    expect(Number(sequence)).toBeGreaterThan(3);
    await database.destroy();
    await targets.drop();
  });

  test('leaves no scratch database and no unfinished file behind, and only so many backups', async () => {
    await makeBackup(deps({ keep: 1 }));
    // A kill has left these.
    await mkdir(join(folder, 'unfinished-backups', 'making-abc'), { recursive: true });
    const [own] = await query(at.url, 'select oid from pg_database where datname = current_database()');
    await query(at.url, `create database "agent-stacks-check-${own!.oid}-abc" template template0`);
    const { location } = await makeBackup(deps({ keep: 1 }));
    const files = (await readdir(folder)).filter((name) => name.endsWith('.age'));
    expect(files).toEqual([basename(location)]);
    expect(await readdir(join(folder, 'unfinished-backups'))).toEqual([]);
    const scratch = await query(
      at.url,
      `select from pg_database where datname like 'agent-stacks-check-${own!.oid}-%'`,
    );
    expect(scratch).toEqual([]);
    const rows = await at.database.selectFrom('backups').selectAll().execute();
    expect(rows.map(({ error, verified_at }) => [error, verified_at !== null])).toEqual(
      Array(2).fill([null, true]),
    );
  });

  test('removes only what this installation made, and is good if nothing can be removed', async () => {
    const others = ['live-0123456789ab', 'rehearsal-0123456789ab'].map(
      (name) => `agent-stacks-${name}-20200101T000000Z-00000000.age`,
    );
    for (const name of others) await writeFile(join(folder, name), '');
    const recipients = RECIPIENTS;
    const { location } = await makeBackup(deps({ keep: 1, recipients }));
    // It cannot be removed as a file is.
    const [prefix] = basename(location).split(/\d{8}T/);
    const stuck = `${prefix}20200101T000000Z-00000000.age`;
    await mkdir(join(folder, stuck));
    const next = await makeBackup(deps({ keep: 1, recipients }));
    const files = (await readdir(folder)).filter((name) => name.endsWith('.age'));
    expect(files.sort()).toEqual([...others, stuck, basename(location), basename(next.location)].sort());
    const errors = await at.database.selectFrom('backups').select('error').execute();
    expect(errors).toEqual(Array(2).fill({ error: null }));
    expect(at.logged).toContainEqual(expect.objectContaining({ event: 'backup.old_kept' }));
    await rm(join(folder, stuck), { recursive: true });
  });

  test('fails, and the process lives on, if the database ends its connection', async () => {
    const client = await connect(at.url);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    const ended = new Promise((resolve) => client.once('end', resolve));
    await query(at.url, 'select pg_terminate_backend($1)', [rows[0].pid]);
    await ended;
    await expect(client.query('select 1')).rejects.toThrow();
  });

  test('for recipients is opened by their key, with any program for age', async () => {
    const { location, isVerified } = await makeBackup(deps({ recipients: RECIPIENTS }));
    expect(isVerified).toBe(false);
    expect((await readFile(location)).subarray(0, 21).toString()).toBe('age-encryption.org/v1');
    await expect(openFile(location)).rejects.toThrow(/cannot be opened/);
    const targets = await openTargets('service');
    const opened = await openFile(location, [IDENTITY]);
    expect((await restore(targets.deps, opened, { force: false })).rows).toBeGreaterThan(4);
    await targets.drop();
  });

  test('on a schedule is made when the last one is old enough, and satisfies doctor', async () => {
    await sql`update installation set recovery = 'none'`.execute(at.database);
    const repeating = startBackups(deps({ everyMs: 3_600_000 }), 0.05)!;
    const count = async () => (await at.database.selectFrom('backups').select('location').execute()).length;
    await expect.poll(count, { timeout: 20_000 }).toBe(1);
    const probe = backupProbe(readBackups(at.database, join(folder, 'none.json')), 2);
    await expect.poll(async () => (await runProbe(probe)).ok, { timeout: 20_000 }).toBe(true);
    await sql`update backups set started_at = now() - interval '2 hours'`.execute(at.database);
    await expect.poll(count, { timeout: 20_000 }).toBe(2);
    await repeating.stop();
    expect(await count()).toBe(2);
  });

  test('that an earlier passphrase encrypted is opened while both are configured', async () => {
    const { location } = await makeBackup(deps());
    const both = new Keyring(new Secret('a later one'), PASSPHRASE);
    const targets = await openTargets('service');
    const passphrases = both.all.map(({ passphrase }) => passphrase);
    const chunks = await openStore({ kind: 'folder', path: folder }).get(basename(location));
    const opened = await unseal(chunks, { passphrases, identities: [] });
    await restore({ ...targets.deps, keyring: both }, opened, { force: false });
    await targets.drop();
  });

  test('that cannot be put anywhere says so in its row', async () => {
    const file = join(folder, 'a-file');
    await writeFile(file, '');
    const to: BackupStore = { kind: 'folder', path: join(file, 'below') };
    await expect(makeBackup(deps({ to, recipients: RECIPIENTS }))).rejects.toThrow();
    const [row] = await at.database.selectFrom('backups').selectAll().execute();
    expect(row).toMatchObject({ location: null, verified_at: null, error: expect.stringMatching(/ENOTDIR/) });
  });
});

describe('a restore refuses', () => {
  let untouched: Awaited<ReturnType<typeof openTargets>>;
  beforeAll(async () => {
    untouched = await openTargets('service');
  });
  afterAll(() => untouched.drop());

  test('a database in use, unless it is given up', async () => {
    const { location } = await makeBackup(deps({ recipients: RECIPIENTS }));
    const own = { databaseUrl: new Secret(at.url), stateUrl: new Secret(state.url), mode: 'live' as const };
    const target = { ...own, keyring: KEYRING };
    await expect(restore(target, await openFile(location, [IDENTITY]), { force: false })).rejects.toThrow(
      /not empty/,
    );
    await query(at.url, ADD_AGENT);
    await restore(target, await openFile(location, [IDENTITY]), { force: true });
    expect(await query(at.url, 'select agent_id from agents order by 1')).toEqual([
      { agent_id: 'a1' },
      { agent_id: 'a2' },
    ]);
    await sql`insert into workers (worker_id, host, process, concurrency) values ('w', 'h', 'p', 1)`.execute(
      at.database,
    );
    await expect(restore(target, await openFile(location, [IDENTITY]), { force: true })).rejects.toThrow(
      /process .* runs/,
    );
  });

  test('one that is cut, and leaves a database of another version as it was', async () => {
    const older = '0038-log-levels';
    const targets = await openTargets();
    await migrateTo(targets.service, older);
    await query(targets.service, 'create table mine as select 1 as kept');
    const begun = `${header()}T{"side":"service","table":"agents"}\n`;
    await expect(restore(targets.deps, await sealed(begun), { force: true })).rejects.toThrow(/has no end/);
    expect(await query(targets.service, 'select kept from mine')).toEqual([{ kept: 1 }]);
    const versions = await query(targets.service, 'select max(name) as newest from kysely_migration');
    expect(versions).toEqual([{ newest: older }]);
    const { location } = await makeBackup(deps({ recipients: RECIPIENTS }));
    await restore(targets.deps, await openFile(location, [IDENTITY]), { force: true });
    expect(await query(targets.service, AGENTS)).toEqual(await query(at.url, AGENTS));
    const aside = "select from pg_namespace where nspname like 'before%'";
    expect(await query(targets.service, aside)).toEqual([]);
    await targets.drop();
  });

  test('one that is damaged, and gives up nothing for what an earlier restore has left', async () => {
    const targets = await openTargets('service');
    const leave = `create schema before_restore; create table before_restore.former_kysely_migration (name text);
      create table before_restore.former_kysely_migration_lock (id text)`;
    await query(targets.service, `${leave}; ${ADD_AGENT}`);
    await query(targets.service, "insert into installation (mode, accounts) values ('live', '{}')");
    await expect(restore(targets.deps, await sealed(header()), { force: true })).rejects.toThrow(
      /has no end/,
    );
    expect(await query(targets.service, 'select agent_id from agents')).toEqual([{ agent_id: 'later' }]);
    expect(await query(targets.service, 'select recovery from installation')).toEqual([{ recovery: 'none' }]);
    // A kill before anything was loaded leaves this: an empty database before the former tables.
    await query(
      targets.service,
      `drop schema before_restore cascade; alter table kysely_migration rename to former_kysely_migration;
       alter table kysely_migration_lock rename to former_kysely_migration_lock;
       alter schema public rename to before_restore; create schema public`,
    );
    await expect(restore(targets.deps, await sealed(header()), { force: false })).rejects.toThrow(
      /not empty/,
    );
    expect(await query(targets.service, 'select agent_id from agents')).toEqual([{ agent_id: 'later' }]);
    await targets.drop();
  });

  test('to let anybody work between its two commits', async () => {
    const { location } = await makeBackup(deps({ recipients: RECIPIENTS }));
    const open = () => openFile(location, [IDENTITY]);
    const targets = await openTargets('service');
    await query(
      targets.service,
      `${ADD_AGENT}; insert into installation (mode, accounts) values ('live', '{}')`,
    );
    expect(await hasStacks(targets.deps.stateUrl)).toBe(false);
    // The service's commit fails, as if the process were killed before it.
    await query(
      targets.service,
      `create function fail() returns trigger language plpgsql as $$ begin
         if exists (select from agents where agent_id = 'a1') then raise 'cut off'; end if; return null; end $$;
       create constraint trigger fail after update on installation deferrable initially deferred
         for each row execute function fail()`,
    );
    const cut = restore(targets.deps, await open(), { force: true });
    await expect(cut).rejects.toThrow(/cut off. Run it again with --force/);
    expect(await query(targets.service, 'select agent_id from agents')).toEqual([{ agent_id: 'later' }]);
    expect(await query(targets.service, 'select recovery from installation')).toEqual([
      { recovery: 'needed' },
    ]);
    expect(await hasStacks(targets.deps.stateUrl)).toBe(true);
    await query(targets.service, 'drop function fail cascade');
    await restore(targets.deps, await open(), { force: true });
    expect(await query(targets.service, AGENTS)).toEqual(await query(at.url, AGENTS));
    await targets.drop();
  });

  test('to run while a process starts, as that does while it runs', async () => {
    const { databaseUrl, stateUrl } = deps();
    const target = { databaseUrl, stateUrl, mode: 'live' as const, keyring: KEYRING };
    const backup = await sealed(header());
    await whileStarting(at.database, async () => {
      await whileStarting(at.database, async () => {});
      await expect(restore(target, backup, { force: true })).rejects.toThrow(/process .* starts/);
    });
    await whileNothingStarts(
      at.database,
      async () => {
        await expect(whileStarting(at.database, async () => {})).rejects.toThrow(/being restored/);
      },
      () => {
        throw new Error('it is free');
      },
    );
  });

  test('a line that has no end', async () => {
    const long = async function* () {
      for (let count = 0; count < 3; count += 1) yield Buffer.from('12345\n67890');
    };
    const lines = async (longest: number) => {
      const read: string[] = [];
      for await (const line of readLines(long(), longest)) read.push(line);
      return read;
    };
    expect(await lines(10)).toEqual(['12345', '6789012345', '6789012345', '67890']);
    await expect(lines(9)).rejects.toThrow(/too long/);
  });

  test('another passphrase, another installation, another mode', async () => {
    const encrypted = await seal(Readable.from([header()]), { passphrase: PASSPHRASE, recipients: [] });
    const opened = unseal(encrypted, { passphrases: [new Secret('other')], identities: [] });
    await expect(opened).rejects.toThrow(/cannot be opened/);
    const { location } = await makeBackup(deps({ recipients: RECIPIENTS }));
    const other = { ...untouched.deps, keyring: new Keyring(new Secret('other')) };
    await expect(restore(other, await openFile(location, [IDENTITY]), { force: false })).rejects.toThrow(
      /another installation/,
    );
    const sandbox = { ...untouched.deps, mode: 'sandbox' as const };
    await expect(restore(sandbox, await openFile(location, [IDENTITY]), { force: false })).rejects.toThrow(
      /live mode/,
    );
  });

  const CANARY = sealCanary(KEYRING.current).toString('base64');
  const header = (changes: object = {}) =>
    `H${JSON.stringify({ kind: 'agent-stacks backup', format: 1, at: new Date(0).toISOString(), schema: SCHEMA_VERSION, mode: 'live', canary: CANARY, stateDatabase: null, ...changes })}\n`;
  const row =
    'R{"agent_id":"a1","user_id":"u","region":"r","location":"l","plan":"p","status":"requested","health":"unknown","project":"default","protected":false}\n';
  test.each([
    ['a newer version', header({ schema: '9999-later' }), /newer than this program/],
    ['a newer format', header({ format: 2 }), /newer version/],
    ['something else', 'hello\n', /no backup/],
    ['one that is cut', header(), /has no end/],
    [
      'one that lacks rows',
      ended(`${header()}T{"side":"service","table":"agents"}\n`, { 'service agents': 3 }),
      /instead of 3/,
    ],
    ['a table that is not known', ended(`${header()}T{"side":"service","table":"nope"}\n`), /not known here/],
    ['one without a canary', header({ canary: null }), /does not say which passphrase/],
    ['one that others made', ended(header(), {}, new Keyring(new Secret('theirs'))), /not made by this/],
    [
      'one that others made longer',
      `${ended(header())}T{"side":"service","table":"agents"}\n`,
      /after its end/,
    ],
    ['a row without a table', `${header()}${row}`, /has no table/],
  ])('%s, and changes nothing', async (_, text, reason) => {
    await expect(restore(untouched.deps, await sealed(text), { force: false })).rejects.toThrow(reason);
    expect(await query(untouched.service, 'select from agents')).toEqual([]);
  });
});

describe.skipIf(noKeyService !== null)('a bucket', () => {
  let service: KeyService;
  let to: Extract<BackupStore, { kind: 's3' }>;
  beforeAll(async () => {
    service = await startKeyService();
    const endpoint = new URLSearchParams(service.provider.split('?')[1]).get('endpoint')!;
    const credentials = { id: 'test', secret: new Secret('test'), session: undefined };
    to = { kind: 's3', bucket: 'backups', prefix: 'one/two', endpoint, region: 'us-east-1', credentials };
    const scope = 'Credential=test/20260101/us-east-1/s3/aws4_request';
    const authorization = `AWS4-HMAC-SHA256 ${scope}, SignedHeaders=host, Signature=none`;
    expect((await fetch(`${endpoint}/backups`, { method: 'PUT', headers: { authorization } })).status).toBe(
      200,
    );
  }, 90_000);
  afterAll(() => service.stop());

  test('keeps backups as a folder does', async () => {
    for (let count = 0; count < 2; count += 1)
      await makeBackup(deps({ to, keep: 1, recipients: RECIPIENTS }));
    const store = openStore(to);
    const names = await store.list();
    expect(names).toHaveLength(1);
    const targets = await openTargets('service');
    const opened = await unseal(await store.get(names[0]!), { passphrases: [], identities: [IDENTITY] });
    await restore(targets.deps, opened, { force: false });
    expect(await query(targets.service, AGENTS)).toEqual(await query(at.url, AGENTS));
    await targets.drop();
    await expect(openStore({ ...to, bucket: 'missing' }).list()).rejects.toThrow(/NoSuchBucket/);
  });
});
