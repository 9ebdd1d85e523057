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
     error text check (length(error) <= 2000),
     retry_at timestamptz not null default now(),
     check ((seen is null) = (digest is null)))`,

  // Holds are a part of the record, and change without the agent's row.
  `create function forget_cloud_record() returns trigger language plpgsql as $$
   begin
     delete from cloud_records where owner_id = coalesce(new.agent_id, old.agent_id);
     return null;
   end $$`,
  `create trigger holds_forget_cloud_record after insert or delete on holds
     for each row execute function forget_cloud_record()`,
];
