import { type Kysely, sql } from 'kysely';

/** Which key seals what, so that the passphrase can be changed while everything runs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const KEY_ID = (column: string) => `(${column} ~ '^[0-9a-f]{16}$')`;

const STATEMENTS = [
  // Null until the first start of this version has found out which passphrase it is.
  `alter table installation
     add column key_id text check ${KEY_ID('key_id')},
     add column former_key_id text check ${KEY_ID('former_key_id')},
     -- Stacks that are left, as a worker saw them last; null: none has looked yet.
     add column stacks_left int check (stacks_left >= 0),
     -- What needs a person for the change of the passphrase to end.
     add column rekey_problems jsonb not null default '[]' check (jsonb_typeof(rekey_problems) = 'array'),
     add constraint installation_former_key check (former_key_id is null or key_id is not null)`,

  `create table key_epochs (
     epoch int primary key check (epoch > 0),
     key_id text not null check ${KEY_ID('key_id')},
     -- The first link of the audit chain under this key.
     first_position bigint not null check (first_position > 0),
     -- What verifies and recognizes what was made under a former key, sealed with the present one.
     kept bytea check (octet_length(kept) between 30 and 2000),
     since timestamptz not null default now())`,
  `create unique index key_epochs_present on key_epochs ((kept is null)) where kept is null`,

  `create table processes (
     process_id text primary key check (length(process_id) between 1 and 200),
     role text not null check (role in ('all', 'api', 'worker', 'runner')),
     -- Whose passphrases it has, and which of them it seals with.
     key_ids text[] not null check (cardinality(key_ids) between 1 and 2),
     seals_with text not null,
     seen_at timestamptz not null default now(),
     check (seals_with = any(key_ids)))`,

  // The key that a value is sealed with; null in the first format, which does not name it.
  `create function key_of(sealed bytea) returns text language sql immutable as $$
     select case when octet_length(sealed) > 9 and get_byte(sealed, 0) = 2
       then encode(substring(sealed from 2 for 8), 'hex') end $$`,

  // A process that was paused while the passphrase changed must not seal with the former key any more: nobody
  // could open that. The lock makes a write and the end of a change wait for each other.
  `create function refuse_other_key() returns trigger language plpgsql as $$
   declare present text; former text; own text := key_of(new.secrets);
   begin
     if own is null or (tg_op = 'UPDATE' and new.secrets is not distinct from old.secrets) then return new; end if;
     select key_id, former_key_id into present, former from installation for share;
     if present is null or own = present or own = former then return new; end if;
     raise exception 'sealed with a key that is not this installation''s any more'
       using errcode = 'check_violation', constraint = 'sealed_with_present_key';
   end $$`,
  ...['agents', 'slots', 'images'].map(
    (table) => `create trigger ${table}_present_key before insert or update of secrets on ${table}
      for each row when (new.secrets is not null) execute function refuse_other_key()`,
  ),
];
