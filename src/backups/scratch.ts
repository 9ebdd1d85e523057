import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { createDatabase, createPool } from '../database/connect.ts';
import { migrate } from '../database/migrations.ts';
import type { SealingKey } from '../keys/sealed-text.ts';
import { Secret } from '../secret.ts';
import { type Loaded, load, openBackup } from './load.ts';
import { ensureStateTable } from './state-table.ts';
import { clearTables } from './tables.ts';

/**
 * Restores a backup into a database of its own, which is dropped afterwards; one that a killed check has left
 * is dropped before. Its constraints hold what the rows promise, and the end of the backup how many there
 * are. Called by one process of an installation at a time.
 * @throws BackupError; Postgres's error if the login may not create databases
 */
export async function verify(
  databaseUrl: Secret,
  chunks: AsyncIterable<Uint8Array>,
  key: SealingKey,
): Promise<Loaded> {
  const admin = await connect(databaseUrl.reveal());
  try {
    const prefix = await prefixOf(admin);
    await dropLeft(admin, prefix);
    const name = `${prefix}${randomBytes(6).toString('hex')}`;
    await admin.query(`create database "${name}" template template0`);
    try {
      const url = new URL(databaseUrl.reveal());
      url.pathname = `/${name}`;
      return await loadInto(new Secret(url.href), chunks, key);
    } finally {
      await admin.query(`drop database if exists "${name}" with (force)`);
    }
  } finally {
    await admin.end();
  }
}

/** The server may have databases of several installations: this one's is known by its number. */
async function prefixOf(admin: pg.Client): Promise<string> {
  const { rows } = await admin.query<{ oid: number }>(
    'select oid from pg_database where datname = current_database()',
  );
  return `agent-stacks-check-${rows[0]!.oid}-`;
}

async function dropLeft(admin: pg.Client, prefix: string): Promise<void> {
  const { rows } = await admin.query<{ name: string }>(
    'select datname as name from pg_database where starts_with(datname, $1)',
    [prefix],
  );
  for (const { name } of rows) await admin.query(`drop database if exists "${name}" with (force)`);
}

async function loadInto(url: Secret, chunks: AsyncIterable<Uint8Array>, key: SealingKey): Promise<Loaded> {
  const pool = createPool(url, 1, 'agent-stacks backup check', { queryTimeoutMs: 0 });
  await migrate(createDatabase(pool)).finally(() => pool.end());
  const client = await connect(url.reveal());
  try {
    await ensureStateTable(client);
    await client.query('begin');
    await clearTables(client);
    const loaded = await load({ service: client, state: client }, await openBackup(chunks, [key]));
    await client.query('commit');
    return loaded;
  } finally {
    await client.end();
  }
}

export async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: 'agent-stacks backup' });
  // Without a listener, a connection that is lost between two statements would end the process. The next
  // statement fails.
  client.on('error', () => {});
  await client.connect();
  return client;
}
