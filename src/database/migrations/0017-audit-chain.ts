import { type Kysely, sql } from 'kysely';

/**
 * A chain of hashes over the audit log, so that a row that was changed, removed or slipped in is found; and
 * receipts of what was deleted, whose hashes are in the log.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(db);
}

const STATEMENTS = [
  // A row is dated when it is written, not when its transaction began, however long that lasts.
  `alter table audit_log alter column at set default clock_timestamp()`,
  // Only tells the sealer what to do next; what is sealed is in the chain.
  `alter table audit_log add column sealed boolean not null default false`,
  `create index audit_log_to_seal on audit_log (id) where not sealed`,

  // No reference to audit_log: the chain has to outlive a row that was removed.
  `create table audit_chain (
     position bigint primary key check (position > 0),
     audit_id bigint not null unique,
     hash bytea not null check (octet_length(hash) = 32))`,
  // The chain's length, signed, so that its end cannot be cut off.
  `create table audit_head (
     singleton boolean primary key default true check (singleton),
     position bigint not null check (position > 0),
     signature bytea not null check (octet_length(signature) = 32))`,

  `create table receipts (
     receipt_id text primary key default gen_random_uuid()::text,
     sequence bigint not null unique generated always as identity,
     agent_id text not null references agents on delete cascade,
     kind text not null check (kind ~ '^[a-z][a-z-]{0,30}$'),
     body jsonb not null check (jsonb_typeof(body) = 'object'),
     created_at timestamptz not null default now())`,
  `create index receipts_of_agent on receipts (agent_id, sequence)`,
];
