import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { createDatabase, createPool } from '../database/connect.ts';
import { migrate } from '../database/migrations.ts';
import { Secret } from '../secret.ts';
import { type Loaded, load, openBackup } from './load.ts';
import { ensureStateTable } from './state-table.ts';
import { clearTables } from './tables.ts';

/**
 * Restores a backup into a database of its own, which is dropped afterwards. Its constraints hold what the
 * rows promise, and the end of the backup how many there are.
 * @throws BackupError; Postgres's error if the login may not create databases
 */
export async function verify(databaseUrl: Secret, chunks: AsyncIterable<Uint8Array>): Promise<Loaded> {
  const name = `agent-stacks-check-${randomBytes(6).toString('hex')}`;
  const admin = await connect(databaseUrl.reveal());
  try {
    await admin.query(`create database "${name}" template template0`);
    try {
      const url = new URL(databaseUrl.reveal());
      url.pathname = `/${name}`;
      return await loadInto(new Secret(url.href), chunks);
    } finally {
      await admin.query(`drop database if exists "${name}" with (force)`);
    }
  } finally {
    await admin.end();
  }
}

async function loadInto(url: Secret, chunks: AsyncIterable<Uint8Array>): Promise<Loaded> {
  const pool = createPool(url, 1, 'agent-stacks backup check', { queryTimeoutMs: 0 });
  await migrate(createDatabase(pool)).finally(() => pool.end());
  const client = await connect(url.reveal());
  try {
    await ensureStateTable(client);
    await client.query('begin');
    await clearTables(client);
    const loaded = await load({ service: client, state: client }, await openBackup(chunks));
    await client.query('commit');
    return loaded;
  } finally {
    await client.end();
  }
}

export async function connect(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: 'agent-stacks backup' });
  await client.connect();
  return client;
}
