import pg from 'pg';

/** The tables of one area. `statements` must be repeatable (`CREATE TABLE IF NOT EXISTS …`). */
export type SandboxSchema = { area: string; version: number; statements: readonly string[] };

/** Whatever can run one statement: the pool, or the connection of a transaction. */
export type Queryable = Pick<pg.Pool, 'query'>;

const foundation: SandboxSchema = {
  area: 'foundation',
  version: 1,
  statements: [
    `CREATE TABLE IF NOT EXISTS due (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      kind text NOT NULL,
      key text NOT NULL,
      at timestamptz NOT NULL,
      payload jsonb NOT NULL,
      revision int NOT NULL DEFAULT 1,
      attempts int NOT NULL DEFAULT 0,
      last_error text,
      UNIQUE (kind, key)
    )`,
    'CREATE INDEX IF NOT EXISTS due_at ON due (at)',
    `CREATE TABLE IF NOT EXISTS faults (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      area text NOT NULL,
      method text NOT NULL,
      path text NOT NULL,
      remaining int NOT NULL CHECK (remaining >= 0),
      effect jsonb NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    )`,
  ],
};

/**
 * Opens the sandbox's own database and creates what is missing in it: the foundation's tables and those of `schemas`.
 * Throws where the database holds a newer version of an area's tables than this code knows.
 */
export async function openSandboxDatabase(
  url: string,
  schemas: readonly SandboxSchema[] = [],
): Promise<pg.Pool> {
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  // An idle connection that breaks (the database restarts) must not end the process: the pool opens another.
  pool.on('error', () => undefined);
  try {
    await ensureSchemas(pool, [foundation, ...schemas]);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return pool;
}

/** Runs `work` in one transaction on one connection: commits what it did, or rolls all of it back and rethrows. */
export async function inTransaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK').catch((failure: Error) => {
      broken = failure;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

async function ensureSchemas(pool: pg.Pool, schemas: readonly SandboxSchema[]): Promise<void> {
  await inTransaction(pool, async (client) => {
    // CREATE TABLE IF NOT EXISTS still collides with itself when two processes start at the same moment.
    await client.query("SELECT pg_advisory_xact_lock(hashtext('sandbox-schema'))");
    await client.query(
      'CREATE TABLE IF NOT EXISTS sandbox_schema (area text PRIMARY KEY, version int NOT NULL)',
    );
    for (const schema of schemas) await ensureSchema(client, schema);
  });
}

async function ensureSchema(client: pg.PoolClient, { area, version, statements }: SandboxSchema) {
  const { rows } = await client.query<{ version: number }>(
    'SELECT version FROM sandbox_schema WHERE area = $1',
    [area],
  );
  const found = rows[0]?.version;
  if (found === version) return;
  if (found !== undefined && found > version)
    throw new Error(`The sandbox's database holds version ${found} of ${area}; this code knows ${version}`);
  for (const statement of statements) await client.query(statement);
  await client.query(
    `INSERT INTO sandbox_schema (area, version) VALUES ($1, $2)
     ON CONFLICT (area) DO UPDATE SET version = excluded.version`,
    [area, version],
  );
}
