import type { ColumnType, Generated, GeneratedAlways } from 'kysely';
import type { Defaulted, DefaultTimestamp, Timestamp } from './column-types.ts';
import type { Role, SignInMethod } from './vocabulary.ts';

export interface PeopleTables {
  people: PersonTable;
  tokens: TokenTable;
  sessions: SessionTable;
}

/** Somebody who works with this installation. Who holds API_TOKEN has no row. */
export interface PersonTable {
  person_id: Generated<string>;
  sequence: GeneratedAlways<number>;
  /** As the audit log names them. */
  name: ColumnType<string, string, never>;
  /** What Tailscale and the OpenID provider call them; by default their name. */
  login: string;
  role: Role;
  /** Whether the OpenID provider says the role at each sign-in. */
  role_by_claim: Defaulted<boolean>;
  /** Whom the OpenID provider knows them as, since their first sign-in there. */
  oidc_issuer: string | null;
  oidc_subject: string | null;
  created_at: DefaultTimestamp;
  /** As in the audit log. */
  created_by: string;
}

export interface TokenTable {
  token_id: Generated<string>;
  sequence: GeneratedAlways<number>;
  person_id: string;
  /** What it is for, in the words of whoever made it. */
  label: string;
  /** SHA-256 of the token, which nothing else keeps. */
  hash: Buffer;
  created_at: DefaultTimestamp;
  /** As in the audit log. */
  created_by: string;
  expires_at: Timestamp;
  /** Written every few minutes only. */
  last_used_at: Timestamp | null;
  revoked_at: Timestamp | null;
}

export interface SessionTable {
  session_id: Generated<string>;
  /** A keyed hash of the cookie's value (src/people/sessions.ts). */
  id_hash: Buffer;
  /** Null: who holds API_TOKEN. */
  person_id: string | null;
  /** The token it was opened with, without which it ends; null: another way in. */
  token_id: string | null;
  method: Defaulted<SignInMethod>;
  /** What the browser calls itself. */
  browser: string | null;
  created_at: DefaultTimestamp;
  /** Written every few minutes only. */
  last_used_at: Timestamp | null;
  expires_at: Timestamp;
  revoked_at: Timestamp | null;
}
