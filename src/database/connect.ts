import { Kysely, type Transaction as KyselyTransaction, PostgresDialect } from 'kysely';
import pg from 'pg';
import type { Secret } from '../secret.ts';
import { GuardedPool } from './guarded-pool.ts';
import type { Tables } from './tables.ts';

export { isDatabaseUnavailable } from './guarded-pool.ts';

export type Database = Kysely<Tables>;
/** For what must be written together, or reads rows that it has locked. */
export type Transaction = KyselyTransaction<Tables>;

// bigint columns here are sequence numbers and counts, far below 2^53.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/**
 * A process that is stopped, or whose host is cut off, in the middle of a transaction keeps rows locked that
 * others need to take its work over: Postgres ends its session. Half of a lease; transactions here take
 * milliseconds.
 */
const IDLE_IN_TRANSACTION_MS = 15_000;

/**
 * A pool of connections. `connectionTimeoutMillis` makes a database that is away an error within seconds
 * instead of a hang.
 */
export function createPool(url: Secret, maxConnections: number, applicationName: string): pg.Pool {
  const pool = new GuardedPool({
    connectionString: url.reveal(),
    max: maxConnections,
    connectionTimeoutMillis: 4_000,
    query_timeout: 30_000,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
    keepAlive: true,
    application_name: applicationName,
  });
  // Without a listener a connection that the server closes while idle would end the process.
  pool.on('error', () => {});
  // The pool listens to its idle clients alone; one that is lost inside a transaction says so again at the
  // next statement.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

export function createDatabase(pool: pg.Pool): Database {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
}

/** The name of the constraint that a statement broke, or undefined for any other error. */
export function violatedConstraint(error: unknown): string | undefined {
  const { code, constraint } = (error ?? {}) as { code?: string; constraint?: string };
  return code === '23505' || code === '23514' || code === '23503' ? constraint : undefined;
}
