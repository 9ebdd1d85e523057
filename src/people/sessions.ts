import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import { cutText } from '../database/storable.ts';
import type { SignInMethod } from '../database/vocabulary.ts';
import type { Secret } from '../secret.ts';
import type { Holder } from './tokens.ts';

/** Sessions in a browser. All API processes on a database share them, and any of them can end each. */
export interface Sessions {
  /** @returns the session's secret, which is kept in the cookie only. */
  start(opened: Opened): Promise<string>;
  /** Finds an open session by its secret. */
  find(secret: string): Promise<OpenSession | undefined>;
  isOpen(sessionId: string): Promise<boolean>;
  /** Ends a session by its secret; an unknown one is ignored. */
  end(secret: string): Promise<void>;
}

/** How somebody signed in. */
export interface Opened {
  /** Undefined: with API_TOKEN. */
  personId: string | undefined;
  /** The person's token that they signed in with: the session ends with it. */
  tokenId?: string | undefined;
  method: SignInMethod;
  /** What the browser calls itself. */
  browser: string | undefined;
}

export interface OpenSession {
  sessionId: string;
  /** Undefined: who holds API_TOKEN. */
  holder: Holder | undefined;
}

export const SESSION_SECONDS = 12 * 3600;
const SECRET = /^[\w-]{43}$/;
const LONGEST_BROWSER = 200;
/** How exactly `last_used_at` is known. */
const USE_MINUTES = 10;

/** Whether a session still counts, where its token is joined: it ends with that. */
export const isOpenSession = sql<boolean>`(sessions.revoked_at is null and sessions.expires_at > now()
  and (sessions.token_id is null or (tokens.revoked_at is null and tokens.expires_at > now())))`;
const isStale = sql<boolean>`(sessions.last_used_at is null
  or sessions.last_used_at < now() - make_interval(mins => ${USE_MINUTES}))`;

/**
 * Stores keyed hashes of sessions' secrets. The key is derived from API_TOKEN, so changing that signs
 * everyone out.
 */
export function createSessions(database: Database, apiToken: Secret): Sessions {
  const key = Buffer.from(hkdfSync('sha256', apiToken.reveal(), '', 'agent-stacks operator session', 32));
  const hashOf = (secret: string) => createHmac('sha256', key).update(secret).digest();
  return {
    start: async ({ personId, tokenId, method, browser }) => {
      const secret = randomBytes(32).toString('base64url');
      await database.deleteFrom('sessions').where('expires_at', '<', sql<Date>`now()`).execute();
      await database
        .insertInto('sessions')
        .values({
          id_hash: hashOf(secret),
          person_id: personId ?? null,
          token_id: tokenId ?? null,
          method,
          browser: browser === undefined ? null : cutText(browser, LONGEST_BROWSER) || null,
          last_used_at: sql<Date>`now()`,
          expires_at: sql<Date>`now() + make_interval(secs => ${SESSION_SECONDS})`,
        })
        .execute();
      return secret;
    },
    find: (secret) => findSession(database, SECRET.test(secret) ? hashOf(secret) : undefined),
    isOpen: async (sessionId) => {
      const query = openSessions(database).select('session_id').where('session_id', '=', sessionId);
      return (await query.executeTakeFirst()) !== undefined;
    },
    end: async (secret) => {
      if (!SECRET.test(secret)) return;
      await database
        .updateTable('sessions')
        .set({ revoked_at: sql<Date>`now()` })
        .where('id_hash', '=', hashOf(secret))
        .where('revoked_at', 'is', null)
        .execute();
    },
  };
}

const openSessions = (database: Database) =>
  database
    .selectFrom('sessions')
    .leftJoin('tokens', 'tokens.token_id', 'sessions.token_id')
    .leftJoin('people', 'people.person_id', 'sessions.person_id')
    .where(isOpenSession);

async function findSession(database: Database, hash: Buffer | undefined): Promise<OpenSession | undefined> {
  if (hash === undefined) return undefined;
  const found = await openSessions(database)
    .select(['session_id', 'people.person_id', 'people.name', 'people.role', isStale.as('isStale')])
    .where('id_hash', '=', hash)
    .executeTakeFirst();
  if (found === undefined) return undefined;
  const { session_id: sessionId, person_id: personId, name, role } = found;
  if (found.isStale)
    await database
      .updateTable('sessions')
      .set({ last_used_at: sql<Date>`now()` })
      .where('session_id', '=', sessionId)
      .where(isStale)
      .execute();
  // The three are null together: the join finds somebody or nobody.
  const holder = personId !== null && name !== null && role !== null ? { personId, name, role } : undefined;
  return { sessionId, holder };
}
