import pg from 'pg';

/** How long a session stays open after a query: a test that polls asks again sooner. */
const IDLE_MS = 1_000;

const pools = new Map<string, pg.Pool>();

/**
 * Returns the rows of one statement. Queries of the same database share a session for as long as they follow
 * each other closely: to open one takes more than what most of them ask.
 */
// biome-ignore lint/suspicious/noExplicitAny: rows are judged by the tests' expectations.
export async function query(url: string, sql: string, parameters: unknown[] = []): Promise<any[]> {
  return (await poolFor(url).query(sql, parameters)).rows;
}

function poolFor(url: string): pg.Pool {
  const known = pools.get(url);
  if (known !== undefined) return known;
  const pool = new pg.Pool({ connectionString: url, idleTimeoutMillis: IDLE_MS, allowExitOnIdle: true });
  // The database has ended an idle session, as when its installation stops.
  pool.on('error', () => {});
  pools.set(url, pool);
  return pool;
}
