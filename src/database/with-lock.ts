import { sql } from 'kysely';
import type { Database } from './connect.ts';

interface Locked<T> {
  work: () => Promise<T>;
  taken: () => T;
}

/**
 * Does something that only one process of the installation may do at a time. The lock is the session's: it
 * ends with the process. `taken` says what follows if another has it.
 */
export async function withLock<T>(database: Database, name: string, locked: Locked<T>): Promise<T> {
  return hold(database, { name, suffix: '' }, locked);
}

/** As `withLock`, for what several processes may do at a time, and none while another has the lock alone. */
export async function withSharedLock<T>(database: Database, name: string, locked: Locked<T>): Promise<T> {
  return hold(database, { name, suffix: '_shared' }, locked);
}

async function hold<T>(
  database: Database,
  { name, suffix }: { name: string; suffix: '' | '_shared' },
  { work, taken }: Locked<T>,
): Promise<T> {
  const [lock, unlock] = [`pg_try_advisory_lock${suffix}`, `pg_advisory_unlock${suffix}`];
  return database.connection().execute(async (connection) => {
    const { rows } = await sql<{ locked: boolean }>`
      select ${sql.ref(lock)}(hashtext(${name}), 0) as locked`.execute(connection);
    if (rows[0]?.locked !== true) return taken();
    try {
      return await work();
    } finally {
      await sql`select ${sql.ref(unlock)}(hashtext(${name}), 0)`.execute(connection);
    }
  });
}
