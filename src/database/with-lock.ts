import { sql } from 'kysely';
import type { Database } from './connect.ts';

/**
 * Does something that only one process of the installation may do at a time. The lock is the session's: it
 * ends with the process. `taken` says what follows if another has it.
 */
export async function withLock<T>(
  database: Database,
  name: string,
  { work, taken }: { work: () => Promise<T>; taken: () => T },
): Promise<T> {
  return database.connection().execute(async (connection) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_lock(hashtext(${name}), 0) as locked`.execute(connection);
    if (rows[0]?.locked !== true) return taken();
    try {
      return await work();
    } finally {
      await sql`select pg_advisory_unlock(hashtext(${name}), 0)`.execute(connection);
    }
  });
}
