import pg from 'pg';
import { storableParameter } from './storable.ts';

const UNAVAILABLE_CODES = new Set([
  // Read-only: the address leads to a standby, perhaps only until a failover is complete.
  '25006',
  '25P03',
  '57P01',
  '57P02',
  '57P03',
  '53300',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
  // PgBouncer's code for a server that it cannot reach.
  '08P01',
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
]);
const UNAVAILABLE_TEXT =
  /is not currently accepting connections|Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client has encountered a connection error|Client was closed|pool after calling end/;

/**
 * Errors of database connections that mean the database is unavailable. Errors of other connections can have
 * the same codes but are never in this set.
 */
const unavailable = new WeakSet<Error>();

/**
 * Whether an error means that the database is unavailable, as opposed to a rejected statement or a failure of
 * some other connection.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return unavailable.has(error) || (error.cause !== undefined && isDatabaseUnavailable(error.cause));
}

function mark<T>(error: T): T {
  if (error instanceof Error && meansUnavailable(error)) unavailable.add(error);
  return error;
}

function meansUnavailable(error: Error): boolean {
  const { code = '' } = error as { code?: string };
  if (UNAVAILABLE_CODES.has(code) || UNAVAILABLE_TEXT.test(error.message)) return true;
  return error instanceof AggregateError && error.errors.some(meansUnavailable);
}

/**
 * Ends a connection after an error that means the database is unavailable, so that the pool makes a new one:
 * after a failover this one may lead to a server that is gone without a word, or to a standby.
 */
function endIfLost(client: pg.PoolClient): <T>(error: T) => T {
  return (error) => {
    // A pool's client is a whole one; only its type hides `end`.
    if (isDatabaseUnavailable(mark(error))) (client as unknown as pg.Client).end().catch(() => {});
    return error;
  };
}

type Done = (error: Error | undefined, ...rest: never[]) => void;

/**
 * The boundary to the database. Ends connections that are lost, cleans every parameter so that Postgres
 * accepts it, and marks the errors that mean the database is unavailable.
 */
export class GuardedPool extends pg.Pool {
  constructor(config: pg.PoolConfig) {
    super(config);
    this.on('connect', guard);
  }

  override connect(): Promise<pg.PoolClient>;
  override connect(callback: Parameters<pg.Pool['connect']>[0]): void;
  override connect(callback?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | undefined {
    if (callback === undefined) return super.connect().catch(rethrow);
    super.connect((error, client, done) => callback(mark(error), client, done));
    return undefined;
  }
}

function guard(client: pg.PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const examine = endIfLost(client);
  const guarded = (statement: unknown, ...rest: unknown[]) => {
    const result = query(checked(statement), ...rest.map((argument) => checkedArgument(argument, examine)));
    if (!(result instanceof Promise)) return result;
    return result.catch((error: unknown) => {
      throw examine(error);
    });
  };
  client.query = guarded as typeof client.query;
}

/** Cleans the parameters of a statement object that carries its own. */
function checked(statement: unknown): unknown {
  if (typeof statement !== 'object' || statement === null || !('values' in statement)) return statement;
  return Object.assign(statement, { values: storableParameter(statement.values) });
}

function checkedArgument(
  argument: unknown,
  examine: (error: Error | undefined) => Error | undefined,
): unknown {
  if (typeof argument !== 'function') return storableParameter(argument);
  const done = argument as Done;
  return (error: Error | undefined, ...others: never[]) => done(examine(error), ...others);
}

function rethrow(error: unknown): never {
  throw mark(error);
}
