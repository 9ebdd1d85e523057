import { type Kysely, sql } from 'kysely';

/** Named people with roles, their tokens, and sessions that belong to them. */
export async function up(database: Kysely<unknown>): Promise<void> {
  for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
}

/** No blanks, so that no name can pass for "… via …"; no capitals, so that no two look alike. */
const NAME = `'^[a-z0-9][a-z0-9._+@-]{0,99}$'`;

const STATEMENTS = [
  `create table people (
     person_id uuid primary key default gen_random_uuid(),
     sequence bigint not null generated always as identity unique,
     name text not null unique check (name ~ ${NAME})
       -- What the audit log calls others.
       check (name not in ('operator', 'viewer', 'program', 'service', 'stripe')),
     login text not null unique check (login ~ ${NAME}),
     role text not null check (role in ('viewer', 'support', 'operator', 'admin')),
     role_by_claim boolean not null default false,
     oidc_issuer text check (length(oidc_issuer) between 1 and 1000),
     oidc_subject text check (length(oidc_subject) between 1 and 255),
     created_at timestamptz not null default now(),
     created_by text not null check (length(created_by) between 1 and 200),
     unique (oidc_issuer, oidc_subject),
     check ((oidc_issuer is null) = (oidc_subject is null)),
     check (oidc_subject is not null or not role_by_claim))`,
  // Only hashes are stored: reading this table lets nobody in.
  `create table tokens (
     token_id uuid primary key default gen_random_uuid(),
     sequence bigint not null generated always as identity unique,
     person_id uuid not null references people on delete cascade,
     label text not null check (length(label) between 1 and 100),
     hash bytea not null unique check (octet_length(hash) = 32),
     created_at timestamptz not null default now(),
     created_by text not null check (length(created_by) between 1 and 200),
     expires_at timestamptz not null
       check (expires_at > created_at and expires_at <= created_at + interval '367 days'),
     last_used_at timestamptz,
     revoked_at timestamptz check (revoked_at >= created_at))`,
  `create index tokens_of_person on tokens (person_id)`,
  `alter table sessions
     add column session_id uuid not null unique default gen_random_uuid(),
     add column person_id uuid references people on delete cascade,
     add column token_id uuid references tokens on delete cascade,
     add column method text not null default 'token' check (method in ('token', 'oidc', 'tailscale')),
     add column browser text check (length(browser) between 1 and 200),
     add column last_used_at timestamptz,
     add check (person_id is not null or (token_id is null and method = 'token'))`,
  `create index sessions_of_person on sessions (person_id)`,
  `create index sessions_of_token on sessions (token_id) where token_id is not null`,
  // Open event streams look again at once whether they still may.
  `create function notify_people() returns trigger language plpgsql as $$
     begin
       perform pg_notify('people_changed', '');
       return null;
     end $$`,
  `create trigger people_changed after update of role or delete on people
     for each statement execute function notify_people()`,
  `create trigger people_changed after update of revoked_at, expires_at or delete on tokens
     for each statement execute function notify_people()`,
  `create trigger people_changed after update of revoked_at, expires_at or delete on sessions
     for each statement execute function notify_people()`,
  // The prefix would count somebody called "programmer".
  `drop index audit_log_by_programs`,
  `create index audit_log_by_programs on audit_log (at)
     where operation_id is not null and (actor = 'program' or actor like '% via %')`,
];
