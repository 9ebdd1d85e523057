import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { Secret } from '../secret.ts';

/**
 * The operator's sessions. They are shared by all API processes on the same database, and any of them can end
 * each.
 */
export interface Sessions {
  /** @returns the session's id, which is kept in the cookie only. */
  start(): Promise<string>;
  /** Whether the session was started under the current API_TOKEN, has not expired and was not ended. */
  isOpen(id: string): Promise<boolean>;
  /** Ends a session; an unknown id is ignored. */
  end(id: string): Promise<void>;
}

export const SESSION_SECONDS = 12 * 3600;
const ID = /^[\w-]{43}$/;
const validity = sql<Date>`now() + make_interval(secs => ${SESSION_SECONDS})`;

/**
 * Stores keyed hashes of session ids. The key is derived from API_TOKEN, so changing the token signs everyone
 * out.
 */
export function createSessions(database: Database, apiToken: Secret): Sessions {
  const key = Buffer.from(hkdfSync('sha256', apiToken.reveal(), '', 'agent-stacks operator session', 32));
  const hash = (id: string) => createHmac('sha256', key).update(id).digest();
  return {
    start: async () => {
      const id = randomBytes(32).toString('base64url');
      await database.deleteFrom('sessions').where('expires_at', '<', sql<Date>`now()`).execute();
      await database
        .insertInto('sessions')
        .values({ id_hash: hash(id), expires_at: validity })
        .execute();
      return id;
    },
    isOpen: async (id) => {
      if (!ID.test(id)) return false;
      const open = await database
        .selectFrom('sessions')
        .select('id_hash')
        .where('id_hash', '=', hash(id))
        .where('expires_at', '>', sql<Date>`now()`)
        .where('revoked_at', 'is', null)
        .executeTakeFirst();
      return open !== undefined;
    },
    end: async (id) => {
      if (!ID.test(id)) return;
      await database
        .updateTable('sessions')
        .set({ revoked_at: sql<Date>`now()` })
        .where('id_hash', '=', hash(id))
        .where('revoked_at', 'is', null)
        .execute();
    },
  };
}
