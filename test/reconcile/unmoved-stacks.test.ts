import { sql } from 'kysely';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createPool } from '../../src/database/connect.ts';
import { createPostgresStateStore, type StateStore } from '../../src/pulumi/state-store.ts';
import { listAttention } from '../../src/reconcile/attention.ts';
import { reportUnmoved } from '../../src/reconcile/unmoved-stacks.ts';
import { Secret } from '../../src/secret.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const KEY = 'awskms://key?region=eu-central-1';
let at: OperationsFixture;
let stateDatabase: TestDatabase;
let pool: pg.Pool;
let state: StateStore;
beforeAll(async () => {
  at = await openOperations();
  stateDatabase = await createDatabase();
  pool = createPool(new Secret(stateDatabase.url), 2, 'state test');
  await pool.query('create table pulumi_state (key text primary key, data json, updated_at timestamptz)');
  state = createPostgresStateStore(pool, { database: 'pulumi', project: 'agents' });
});
afterAll(async () => {
  await pool.end();
  await stateDatabase.drop();
  await at.close();
});
beforeEach(async () => {
  await at.empty();
  await pool.query('truncate pulumi_state');
});

/** A stack as the CLI stores it; `undefined` as one whose row is empty. */
async function stack(name: string, url: string | undefined): Promise<void> {
  const providers =
    url === 'passphrase'
      ? { type: 'passphrase', state: { salt: 'v1:x' } }
      : { type: 'cloud', state: { url, encryptedkey: 'x' } };
  const text = JSON.stringify({ version: 3, checkpoint: { latest: { secrets_providers: providers } } });
  const data = url === undefined ? '' : Buffer.from(text).toString('base64');
  await pool.query(
    `insert into pulumi_state (key, data) values ($1, $2)
      on conflict (key) do update set data = excluded.data`,
    [`pulumi/.pulumi/stacks/agents/${name}.json`, JSON.stringify({ data })],
  );
}

const report = () =>
  reportUnmoved({ ...at, state, secretsProvider: KEY, clock: { now: () => new Date('2027-01-01') } });
const listed = async () => (await listAttention(at.database, { limit: 9 })).map(({ cause }) => cause);

test('lists what has not moved, a hibernated agent too, until all have', async () => {
  await order(at, 'a1');
  await sql`update agents set status = 'hibernated', snapshot_id = '9'`.execute(at.database);
  await stack('agent-a1', 'passphrase');
  await stack('agent-a2', 'awskms://old?region=eu-central-1');
  await stack('agent-a3', KEY);
  await stack('agent-a4', undefined);
  await pool.query(
    "insert into pulumi_state (key, data) values ('pulumi/.pulumi/history/agents/agent-a5.json', '{}')",
  );
  // Neither base64, nor JSON in it, nor UTF-8: they silence nothing about the others.
  for (const [name, data] of [
    ['agent-a6', '%'],
    ['agent-a7', Buffer.from('{').toString('base64')],
    ['agent-a8', Buffer.from([0xff]).toString('base64')],
  ])
    await pool.query('insert into pulumi_state (key, data) values ($1, $2)', [
      `pulumi/.pulumi/stacks/agents/${name}.json`,
      JSON.stringify({ data }),
    ]);
  expect(await report()).toEqual(['agent-a1', 'agent-a2']);
  expect(await listed()).toEqual([
    'Stacks whose secrets are not encrypted by awskms://key yet: 2. ' +
      'agent-a1 (by passphrase; hibernated), agent-a2 (by awskms://old)',
  ]);
  await stack('agent-a1', KEY);
  await stack('agent-a2', KEY);
  expect(await report()).toEqual([]);
  expect(await listed()).toEqual([]);
});
