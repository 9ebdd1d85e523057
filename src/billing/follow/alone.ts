import { sql } from 'kysely';
import type { Database } from '../../database/connect.ts';

/**
 * Does regular work in one process of the installation at a time.
 * @returns undefined if another process is at it
 */
export async function alone<T>(
  database: Database,
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  return database.connection().execute(async (connection) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_lock(hashtext(${name}), 14) as locked`.execute(connection);
    if (rows[0]?.locked !== true) return undefined;
    try {
      return await work();
    } finally {
      await sql`select pg_advisory_unlock(hashtext(${name}), 14)`.execute(connection);
    }
  });
}

/** When regular work last began, in technical and in business time. */
export interface LastRun {
  ageSeconds: number;
  businessAt: Date;
}

export async function lastRun(database: Database, name: string): Promise<LastRun | undefined> {
  const row = await database
    .selectFrom('billing_runs')
    .select([sql<number>`extract(epoch from now() - began_at)::float8`.as('ageSeconds'), 'business_at'])
    .where('name', '=', name)
    .executeTakeFirst();
  return row && { ageSeconds: row.ageSeconds, businessAt: row.business_at };
}

export async function recordRun(database: Database, name: string, businessAt: Date): Promise<void> {
  const times = { began_at: sql<Date>`now()`, business_at: businessAt };
  await database
    .insertInto('billing_runs')
    .values({ name, ...times })
    .onConflict((conflict) => conflict.column('name').doUpdateSet(times))
    .execute();
}
