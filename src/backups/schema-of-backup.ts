import type pg from 'pg';
import { createDatabase, createPool } from '../database/connect.ts';
import { databaseVersion, migrate } from '../database/migrations.ts';
import type { Secret } from '../secret.ts';
import { hasRows } from './tables.ts';

/** Where the tables of another version stand until the backup is loaded beside them. */
const FORMER = 'before_restore';
/** Kysely takes a table of one of these names for its own, in whichever schema it is. */
const MIGRATION_TABLES = ['kysely_migration', 'kysely_migration_lock'];
const rename = (from: string, to: string) =>
  MIGRATION_TABLES.map((name) => `alter table public.${from}${name} rename to ${to}${name}`).join('; ');

/**
 * Gives the database the schema that the backup is of: what came later is done to its rows afterwards.
 * Tables of another version are put aside. A kill leaves them there, for `putLeftBack`.
 * @returns whether tables were put aside, for `putFormerBack`
 */
export async function prepareSchema(databaseUrl: Secret, schema: string): Promise<boolean> {
  return withPool(databaseUrl, async (pool) => {
    const database = createDatabase(pool);
    const present = await databaseVersion(database);
    if (present === schema) return false;
    const isAside = present !== undefined;
    if (isAside) await putAside(pool);
    try {
      await migrate(database, { to: schema });
    } catch (error) {
      if (isAside) await putBack(pool);
      throw error;
    }
    return isAside;
  });
}

/** Removes what was put aside, in the transaction that puts the backup in its place. */
export async function giveUpFormer(service: pg.ClientBase): Promise<void> {
  await service.query(`drop schema if exists ${FORMER} cascade`);
}

/**
 * Makes the database what it was before a restore that was killed before it had loaded anything. If there is
 * something in the database, the service was started since, and what it has made since counts.
 */
export async function putLeftBack(databaseUrl: Secret): Promise<void> {
  const isUsed = await withPool(databaseUrl, async (pool) => {
    for (const table of ['agents', 'orders']) if (await hasRows(pool, table)) return true;
    return false;
  });
  if (!isUsed) await putFormerBack(databaseUrl);
}

/** Makes the database what it was before a restore that has put its tables aside and loaded nothing. */
export async function putFormerBack(databaseUrl: Secret): Promise<void> {
  await withPool(databaseUrl, putBack);
}

async function putBack(pool: pg.Pool): Promise<void> {
  if (await hasFormer(pool))
    await pool.query(
      `drop schema public cascade; alter schema ${FORMER} rename to public; ${rename('former_', '')}`,
    );
}

/** In one transaction. What an earlier restore has put aside was replaced by what is there now. */
async function putAside(pool: pg.Pool): Promise<void> {
  await pool.query(
    `drop schema if exists ${FORMER} cascade; ${rename('', 'former_')}; alter schema public rename to ${FORMER}; create schema public`,
  );
}

const hasFormer = async (pool: pg.Pool): Promise<boolean> =>
  (await pool.query('select from pg_namespace where nspname = $1', [FORMER])).rowCount === 1;

async function withPool<T>(databaseUrl: Secret, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = createPool(databaseUrl, 1, 'agent-stacks restore', { queryTimeoutMs: 0 });
  try {
    return await work(pool);
  } finally {
    await pool.end();
  }
}
