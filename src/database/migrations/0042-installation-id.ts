import { type Kysely, sql } from 'kysely';

/** Installations may keep their backups in one place: each removes only those with its own id. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table installation add column installation_id text not null
    default left(replace(gen_random_uuid()::text, '-', ''), 12)
    check (installation_id ~ '^[0-9a-f]{12}$')`.execute(db);
}
