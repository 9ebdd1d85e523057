import { type Kysely, sql } from 'kysely';

/** What brings an installation back that has lost its databases. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // `unchecked`: a new database, of which it is not known yet whether its project has servers of an earlier
  // one. `needed`: it has, and nothing may be made or removed before those are known again.
  `alter table installation add column recovery text not null default 'none'
     check (recovery in ('none', 'unchecked', 'needed'))`,

  // What was last written into the labels of an agent's or a slot's SSH key.
  `create table cloud_records (
     owner_id text primary key check (length(owner_id) between 1 and 60),
     -- The row's updated_at that it is of; null: none was written.
     seen timestamptz,
     digest text check (length(digest) = 64),
     -- The key that it was sealed with.
     key_id text check (length(key_id) between 1 and 64),
     error text check (length(error) <= 2000),
     retry_at timestamptz not null default now(),
     check ((seen is null) = (digest is null)))`,

  // Holds are a part of the record, and change without the agent's row.
  `create function forget_cloud_record() returns trigger language plpgsql as $$
   begin
     delete from cloud_records where owner_id = coalesce(new.agent_id, old.agent_id);
     return null;
   end $$`,
  // Kept when what it is about is removed: it says that there was one.
  `create table backups (
     backup_id bigint generated always as identity primary key,
     started_at timestamptz not null default now(),
     finished_at timestamptz,
     -- Where it is, without credentials.
     location text check (length(location) between 1 and 1500),
     bytes bigint check (bytes >= 0),
     row_count bigint check (row_count >= 0),
     verified_at timestamptz,
     error text check (length(error) between 1 and 2000),
     check (verified_at is null or location is not null))`,

  `create trigger holds_forget_cloud_record after insert or delete on holds
     for each row execute function forget_cloud_record()`,
];
