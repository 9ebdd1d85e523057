import pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPostgresStateStore, type StateStore } from '../../src/pulumi/state-store.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

let testDatabase: TestDatabase;
let pool: pg.Pool;
let store: StateStore;
beforeAll(async () => {
  testDatabase = await createDatabase();
  pool = new pg.Pool({ connectionString: testDatabase.url, max: 2 });
  // The table as the CLI creates it.
  await pool.query(`create table pulumi_state (
    key text primary key, data json not null, updated_at timestamptz not null default now())`);
  store = createPostgresStateStore(pool, { database: 'pulumi', project: 'agents' });
});
afterAll(async () => {
  await pool.end();
  await testDatabase.drop();
});
beforeEach(() => pool.query('truncate pulumi_state').then(() => {}));

async function put(...keys: string[]): Promise<void> {
  for (const key of keys)
    await pool.query(`insert into pulumi_state (key, data) values ($1, '{"data":""}')`, [key]);
}
const keys = async () =>
  (await pool.query<{ key: string }>('select key from pulumi_state order by key')).rows.map((row) => row.key);

const toKeys = (stack: string) => [
  `pulumi/.pulumi/stacks/agents/${stack}.json`,
  `pulumi/.pulumi/stacks/agents/${stack}.json.bak`,
  `pulumi/.pulumi/stacks/agents/${stack}.pulumi-tags`,
  `pulumi/.pulumi/history/agents/${stack}/${stack}-1795000000000000000.history.json`,
  `pulumi/.pulumi/history/agents/${stack}/${stack}-1795000000000000000.checkpoint.json`,
  `pulumi/.pulumi/backups/agents/${stack}/${stack}.1795000000000000000.json`,
  `pulumi/.pulumi/locks/organization/agents/${stack}/2b0d0bb8.json`,
];

test('a stack is removed with history, locks and backups, and no other stack is touched', async () => {
  const others = [
    ...toKeys('agent-a10'),
    ...toKeys('agent-a1-b'),
    ...toKeys('foundation-default'),
    'pulumi/.pulumi/meta.yaml',
    'pulumi/.pulumi/stacks/other/agent-a1.json',
  ];
  await put(...toKeys('agent-a1'), ...others);
  await store.forget('agent-a1');
  expect(await keys()).toEqual(others.toSorted());
  await store.forget('agent-a1');
});

test('pruning keeps the newest twenty updates, and other stacks’ history', async () => {
  const history = (stack: string, count: number) =>
    Array.from(
      { length: count },
      (_, index) => 1795000000000000000n + BigInt(index) * 1_000_000_000n,
    ).flatMap((at) => [
      `pulumi/.pulumi/history/agents/${stack}/${stack}-${at}.history.json`,
      `pulumi/.pulumi/history/agents/${stack}/${stack}-${at}.checkpoint.json`,
    ]);
  const own = history('agent-a1', 23);
  const others = [...history('agent-a10', 22), 'pulumi/.pulumi/stacks/agents/agent-a1.json'];
  await put(...own, ...others);
  await store.prune('agent-a1');
  expect(await keys()).toEqual([...own.slice(6), ...others].toSorted());
  await store.prune('agent-a1');
  expect(await keys()).toHaveLength(40 + others.length);
});

async function readState(stackName: string): Promise<unknown> {
  const found = await pool.query<{ data: { data: string } }>('select data from pulumi_state where key = $1', [
    `pulumi/.pulumi/stacks/agents/${stackName}.json`,
  ]);
  const text = found.rows[0]?.data.data;
  return text === undefined ? undefined : JSON.parse(Buffer.from(text, 'base64').toString());
}

async function putState(stackName: string, state: unknown): Promise<void> {
  await pool.query('insert into pulumi_state (key, data) values ($1, $2)', [
    `pulumi/.pulumi/stacks/agents/${stackName}.json`,
    JSON.stringify({ data: Buffer.from(JSON.stringify(state)).toString('base64') }),
  ]);
}
const manifest = { time: '2026-01-01T00:00:00Z', magic: 'm', version: 'v3.259.0' };
const secrets_providers = { type: 'passphrase', state: { salt: 'v1:salt' } };
const foundation = (latest: object) => ({
  version: 3,
  checkpoint: { stack: 'organization/agents/foundation-default', latest },
});

const makeEmpty = (stackName: string, like: string, provider: string) =>
  store.makeSeeded(stackName, { like, provider, resources: [] });

test('an empty stack has the other stack’s salt and nothing else of it', async () => {
  await putState(
    'foundation-default',
    foundation({ manifest, secrets_providers, resources: [{ urn: 'urn:x' }] }),
  );
  expect(await makeEmpty('agent-a1', 'foundation-default', 'passphrase')).toBe(true);
  expect(await readState('agent-a1')).toEqual({
    version: 3,
    checkpoint: {
      stack: 'organization/agents/agent-a1',
      latest: { manifest, secrets_providers, metadata: {} },
    },
  });
});

test('an empty stack has the other stack’s wrapped key, if that is the wanted provider’s', async () => {
  const url = 'awskms://alias/agents?region=eu-central-1';
  const cloud = { type: 'cloud', state: { url, encryptedkey: 'wrapped' } };
  await putState('foundation-default', foundation({ manifest, secrets_providers: cloud }));
  for (const other of ['passphrase', 'awskms://alias/other'])
    expect(await makeEmpty('agent-a1', 'foundation-default', other)).toBe(false);
  expect(await readState('agent-a1')).toBeUndefined();
  expect(await makeEmpty('agent-a1', 'foundation-default', url)).toBe(true);
  expect(await readState('agent-a1')).toMatchObject({
    checkpoint: { latest: { secrets_providers: cloud } },
  });
  expect(await store.secretsProvider('agent-a1')).toBe(url);
});

test('a stack’s secrets provider is read from its state', async () => {
  expect(await store.secretsProvider('agent-a1')).toBeUndefined();
  await putState('agent-a1', foundation({ manifest, secrets_providers, resources: [], pending: [] }));
  expect(await store.secretsProvider('agent-a1')).toBe('passphrase');
  await putState('agent-a2', foundation({ manifest, secrets_providers: { type: 'service', state: {} } }));
  expect(await store.secretsProvider('agent-a2')).toBeUndefined();
});

test('an existing stack stays as it is', async () => {
  await putState('foundation-default', foundation({ manifest, secrets_providers }));
  await putState('agent-a1', { precious: true });
  expect(await makeEmpty('agent-a1', 'foundation-default', 'passphrase')).toBe(true);
  expect(await readState('agent-a1')).toEqual({ precious: true });
});

test.each([
  ['is not there', undefined],
  ['has another version', { ...foundation({ manifest, secrets_providers }), version: 4 }],
  ['has its secrets elsewhere', foundation({ manifest, secrets_providers: { type: 'awskms', state: {} } })],
])('a template stack that %s leaves the creation to the CLI', async (_, state) => {
  if (state !== undefined) await putState('foundation-default', state);
  expect(await makeEmpty('agent-a1', 'foundation-default', 'passphrase')).toBe(false);
  expect(await readState('agent-a1')).toBeUndefined();
});
