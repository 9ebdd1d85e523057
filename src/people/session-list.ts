import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { SignInMethod } from '../database/vocabulary.ts';
import { NotFoundError } from '../errors.ts';
import { isOpenSession } from './sessions.ts';

export interface SessionRow {
  session_id: string;
  /** Null: who holds API_TOKEN. */
  name: string | null;
  method: SignInMethod;
  browser: string | null;
  created_at: Date;
  last_used_at: Date | null;
  expires_at: Date;
}

/** More than an installation has; none is left out silently before that. */
const MOST = 1_000;

/** Open sessions, the newest first. `personId`: only this person's. */
export function listSessions(
  database: Database,
  { personId }: { personId?: string | undefined } = {},
): Promise<SessionRow[]> {
  let query = database
    .selectFrom('sessions')
    .leftJoin('tokens', 'tokens.token_id', 'sessions.token_id')
    .leftJoin('people', 'people.person_id', 'sessions.person_id')
    .select(['session_id', 'people.name', 'method', 'browser', 'sessions.created_at'])
    .select(['sessions.last_used_at', 'sessions.expires_at'])
    .where(isOpenSession)
    .orderBy('sessions.created_at', 'desc')
    .orderBy('session_id')
    .limit(MOST);
  if (personId !== undefined) query = query.where('sessions.person_id', '=', personId);
  return query.execute();
}

/**
 * Ends a session; its cookie is refused at once. Repeating it changes nothing. `personId`: only if it is this
 * person's.
 * @throws NotFoundError
 */
export async function endSession(
  trx: Transaction,
  { sessionId, personId, actor }: { sessionId: string; personId: string | undefined; actor: string },
): Promise<SessionRow> {
  let query = trx
    .selectFrom('sessions')
    .leftJoin('people', 'people.person_id', 'sessions.person_id')
    .select(['session_id', 'people.name', 'method', 'browser', 'sessions.created_at'])
    .select(['sessions.last_used_at', 'sessions.expires_at', 'sessions.revoked_at'])
    .where('session_id', '=', sessionId);
  if (personId !== undefined) query = query.where('sessions.person_id', '=', personId);
  const found = await query.forUpdate('sessions').executeTakeFirst();
  if (found === undefined) throw new NotFoundError(`There is no session ${sessionId}`);
  const { revoked_at, ...row } = found;
  if (revoked_at !== null) return row;
  await trx
    .updateTable('sessions')
    .set({ revoked_at: sql<Date>`now()` })
    .where('session_id', '=', sessionId)
    .execute();
  await audit(trx, { actor, action: 'session.end', details: { sessionId, name: row.name } });
  return row;
}
