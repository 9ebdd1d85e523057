import { Kysely, PostgresDialect, sql, type Transaction } from 'kysely';
import pg from 'pg';
import type { ClockTables } from './clock/schema.ts';
import type { IssuedCredentialTables } from './credentials/schema.ts';
import type { GithubTables } from './github/schema.ts';
import type { HetznerTables } from './hetzner/tables.ts';
import type { MachinesTables } from './machines/schema.ts';
import { type FoundationTables, foundationSchema, type SandboxSchema } from './schema.ts';
import type { StripeTables } from './stripe/schema.ts';
import type { TailscaleTables } from './tailscale/schema.ts';

/** All tables of the sandbox; the areas' `schema.ts` create them. */
export interface SandboxTables
  extends FoundationTables,
    HetznerTables,
    TailscaleTables,
    MachinesTables,
    StripeTables,
    ClockTables,
    IssuedCredentialTables,
    GithubTables {}

/** The sandbox's database, or one of its transactions. */
export type SandboxDatabase = Kysely<SandboxTables>;
export type SandboxTransaction = Transaction<SandboxTables>;

export function createSandboxDatabase(pool: pg.Pool): SandboxDatabase {
  return new Kysely<SandboxTables>({ dialect: new PostgresDialect({ pool }) });
}

/** Bigints are texts here, also in a process whose other pools read them as numbers. */
const getTypeParser: typeof pg.types.getTypeParser = (type: number, format?: 'text' | 'binary') =>
  type === pg.types.builtins.INT8 ? String : pg.types.getTypeParser(type, format as 'text');

/**
 * Opens the sandbox's own database and creates the missing tables: the foundation's and those of `schemas`.
 * @throws Error if the database holds a newer version of an area's tables than this code knows.
 */
export async function openSandboxDatabase(
  url: string,
  schemas: readonly SandboxSchema[] = [],
): Promise<SandboxDatabase> {
  const pool = new pg.Pool({ connectionString: url, max: 20, types: { getTypeParser } });
  // An idle connection that breaks (the database restarts) must not end the process: the pool opens another.
  pool.on('error', () => undefined);
  const database = createSandboxDatabase(pool);
  try {
    await ensureSchemas(database, [foundationSchema, ...schemas]);
  } catch (error) {
    await database.destroy();
    throw error;
  }
  return database;
}

async function ensureSchemas(database: SandboxDatabase, schemas: readonly SandboxSchema[]): Promise<void> {
  await database.transaction().execute(async (trx) => {
    // Two concurrent `create table if not exists` of the same table can collide.
    await sql`select pg_advisory_xact_lock(hashtext('sandbox-schema'))`.execute(trx);
    await sql`create table if not exists sandbox_schema (area text primary key, version int not null)`.execute(
      trx,
    );
    for (const schema of schemas) await ensureSchema(trx, schema);
  });
}

async function ensureSchema(
  trx: SandboxTransaction,
  { area, version, statements }: SandboxSchema,
): Promise<void> {
  const stored = await trx
    .selectFrom('sandbox_schema')
    .select('version')
    .where('area', '=', area)
    .executeTakeFirst();
  if (stored?.version === version) return;
  if (stored !== undefined && stored.version > version)
    throw new Error(
      `The sandbox's database holds version ${stored.version} of ${area}; this code knows ${version}`,
    );
  for (const statement of statements) await sql.raw(statement).execute(trx);
  await trx
    .insertInto('sandbox_schema')
    .values({ area, version })
    .onConflict((conflict) => conflict.column('area').doUpdateSet({ version }))
    .execute();
}
