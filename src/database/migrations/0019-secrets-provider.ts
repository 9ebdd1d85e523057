import { type Kysely, sql } from 'kysely';

/** What encrypts the secrets in the stacks' state. Before this version it was the passphrase everywhere. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table installation
    add column secrets_provider text not null default 'passphrase'
      check (length(secrets_provider) between 1 and 1000)`.execute(db);
}
