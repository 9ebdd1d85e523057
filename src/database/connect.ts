import { Kysely, type Transaction as KyselyTransaction, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Secret } from '../secret.ts';
import { GuardedPool } from './guarded-pool.ts';
import type { Tables } from './tables.ts';

export { isDatabaseUnavailable } from './guarded-pool.ts';

export type Database = Kysely<Tables>;
/** For functions that must run inside a transaction: to write atomically, or because they lock rows. */
export type Transaction = KyselyTransaction<Tables>;

// The bigint columns here hold sequence numbers and counts, far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * A process that is paused or cut off in the middle of a transaction keeps its rows locked, and others need
 * them to take over its work. Postgres ends its session after this time, which is half a lease. Transactions
 * here take milliseconds.
 */
const IDLE_IN_TRANSACTION_MS = 15_000;

/** Statements of requests take milliseconds; without an answer by then, the connection is given up. */
export const QUERY_TIMEOUT_MS = 30_000;

/**
 * How long an unused connection is kept. A session's first statements take several times as long as its
 * later ones, and `/metrics` is read every 15 or 30 seconds.
 */
const IDLE_MS = 60_000;

/**
 * Creates a connection pool. With `connectionTimeoutMillis`, an unavailable database causes an error within
 * seconds instead of a hang. `queryTimeoutMs`: 0 for statements that may take as long as they need.
 */
export function createPool(
  url: Secret,
  maxConnections: number,
  applicationName: string,
  { queryTimeoutMs = QUERY_TIMEOUT_MS }: { queryTimeoutMs?: number } = {},
): pg.Pool {
  const pool = new GuardedPool({
    connectionString: url.reveal(),
    max: maxConnections,
    connectionTimeoutMillis: 4_000,
    idleTimeoutMillis: IDLE_MS,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    application_name: applicationName,
    onConnect: beginSession,
  });
  // Without a listener, an idle connection that the server closes would crash the process.
  pool.on('error', () => {});
  // The pool listens only to idle clients. If a connection is lost inside a transaction, the next statement
  // reports the error again.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

/**
 * Limits how long the session may idle in a transaction, by a statement, because PgBouncer refuses it as a
 * parameter of the connection. While a failover is under way, an address may lead to a standby: reads there
 * are stale, and what the service removes depends on what it reads.
 * @throws Error that means the database is unavailable, if the server accepts no changes
 */
async function beginSession(client: pg.ClientBase): Promise<void> {
  const { rows } = await client.query<{ read_only: boolean }>(
    `select set_config('idle_in_transaction_session_timeout', $1, false),
       current_setting('transaction_read_only')::bool as read_only`,
    [String(IDLE_IN_TRANSACTION_MS)],
  );
  if (rows[0]?.read_only)
    throw Object.assign(new Error('the database accepts no changes: it is a standby, or set to read-only'), {
      code: '25006',
    });
}

export function createDatabase(pool: pg.Pool): Database {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/** Returns the name of the constraint that a statement violated; undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: string; constraint?: string };
  return code === '23505' || code === '23514' || code === '23503' ? constraint : undefined;
}
