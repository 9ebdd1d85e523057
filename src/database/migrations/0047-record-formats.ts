import { type Kysely, sql } from 'kysely';

/**
 * In which format the record at Hetzner is sealed. Unset for all that are there: they are written again.
 * Deleting the rows would let workers of an earlier version write them, in their format.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw('alter table cloud_records add column format integer').execute(db);
}
