import type pg from 'pg';
import { createDatabase, createPool } from '../database/connect.ts';
import { databaseVersion, migrate } from '../database/migrations.ts';
import type { Secret } from '../secret.ts';

/** Where the tables of another version stand until the backup is loaded beside them. */
const FORMER = 'before_restore';
/** Kysely takes a table of one of these names for its own, in whichever schema it is. */
const MIGRATION_TABLES = ['kysely_migration', 'kysely_migration_lock'];
const rename = (from: string, to: string) =>
  MIGRATION_TABLES.map((name) => `alter table public.${from}${name} rename to ${to}${name}`).join('; ');

/**
 * Gives the database the schema that the backup is of: what came later is done to its rows afterwards.
 * Tables of another version are put aside. A kill leaves them there, and the next restore decides about them.
 */
export async function prepareSchema(databaseUrl: Secret, schema: string): Promise<void> {
  await withPool(databaseUrl, async (pool) => {
    const database = createDatabase(pool);
    const present = await databaseVersion(database);
    if (present === schema) return;
    if (present !== undefined) await putAside(pool);
    await migrate(database, { to: schema });
  });
}

/** Removes what was put aside: the backup is there in its place. */
export async function giveUpFormer(databaseUrl: Secret): Promise<void> {
  await withPool(databaseUrl, (pool) => pool.query(`drop schema if exists ${FORMER} cascade`));
}

/** Makes the database what it was before a restore that failed. */
export async function putFormerBack(databaseUrl: Secret): Promise<void> {
  await withPool(databaseUrl, async (pool) => {
    if (await hasFormer(pool))
      await pool.query(
        `drop schema public cascade; alter schema ${FORMER} rename to public; ${rename('former_', '')}`,
      );
  });
}

/** What an earlier restore has put aside stays: beside it is only what that one began. */
async function putAside(pool: pg.Pool): Promise<void> {
  const away = (await hasFormer(pool))
    ? 'drop schema public cascade'
    : `${rename('', 'former_')}; alter schema public rename to ${FORMER}`;
  await pool.query(`${away}; create schema public`);
}

const hasFormer = async (pool: pg.Pool): Promise<boolean> =>
  (await pool.query('select from pg_namespace where nspname = $1', [FORMER])).rowCount === 1;

async function withPool(databaseUrl: Secret, work: (pool: pg.Pool) => Promise<unknown>): Promise<void> {
  const pool = createPool(databaseUrl, 1, 'agent-stacks restore', { queryTimeoutMs: 0 });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
}
