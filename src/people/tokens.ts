import { createHash, randomBytes } from 'node:crypto';
import { type Selectable, sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { TokenTable } from '../database/people-tables.ts';
import type { Role } from '../database/vocabulary.ts';
import { ConflictError, NotFoundError } from '../errors.ts';
import { Secret } from '../secret.ts';
import { getPerson } from './people.ts';

/** Lets people and scanners of leaked secrets recognise one. */
const PREFIX = 'agst_';
const FORM = /^agst_[\w-]{43}$/;
const RANDOM_BYTES = 32;

export const DEFAULT_TOKEN_DAYS = 90;
export const MOST_TOKEN_DAYS = 366;
/** More than somebody uses; a loop that makes tokens stops here. */
const MOST_OPEN = 50;
const KEPT_DAYS = 90;
/** How exactly `last_used_at` is known. */
const USE_MINUTES = 10;

/** `name`: of the person whose it is. */
export type TokenRow = Omit<Selectable<TokenTable>, 'hash' | 'person_id'> & { name: string; isOpen: boolean };

/** Whose a token or session is. */
export interface Holder {
  personId: string;
  name: string;
  role: Role;
}

const isOpen = sql<boolean>`tokens.revoked_at is null and tokens.expires_at > now()`;

const hashOf = (text: string) => createHash('sha256').update(text).digest();

export interface NewToken {
  /** Whose it will be. */
  name: string;
  label: string;
  days?: number | undefined;
  actor: string;
}

/**
 * Makes a token. Its text is known only now: nothing keeps it.
 * @throws NotFoundError, ConflictError if they have too many
 */
export async function createToken(
  trx: Transaction,
  { name, label, days = DEFAULT_TOKEN_DAYS, actor }: NewToken,
): Promise<{ row: TokenRow; token: Secret }> {
  const { person_id } = await getPerson(trx, name);
  await trx
    .deleteFrom('tokens')
    .where(sql<boolean>`least(revoked_at, expires_at) < now() - make_interval(days => ${KEPT_DAYS})`)
    .execute();
  const { open } = await trx
    .selectFrom('tokens')
    .select(({ fn }) => fn.countAll<number>().as('open'))
    .where('person_id', '=', person_id)
    .where(isOpen)
    .executeTakeFirstOrThrow();
  if (open >= MOST_OPEN) throw new ConflictError(`${name} has ${MOST_OPEN} tokens: revoke some first`);
  const token = new Secret(PREFIX + randomBytes(RANDOM_BYTES).toString('base64url'));
  const expires_at = sql<Date>`now() + make_interval(days => ${days})`;
  const { hash, ...row } = await trx
    .insertInto('tokens')
    .values({ person_id, label, hash: hashOf(token.reveal()), created_by: actor, expires_at })
    .returningAll()
    .executeTakeFirstOrThrow();
  const details = { tokenId: row.token_id, name, label, expiresAt: row.expires_at.toISOString() };
  await audit(trx, { actor, action: 'token.create', details });
  return { row: { ...row, name, isOpen: true }, token };
}

/**
 * Tokens, the newest first. `personId`: only this person's. `before`: the last `sequence` of the page before.
 */
export function listTokens(
  database: Database,
  { personId, before, limit }: { personId?: string | undefined; before?: number | undefined; limit: number },
): Promise<TokenRow[]> {
  let query = database
    .selectFrom('tokens')
    .innerJoin('people', 'people.person_id', 'tokens.person_id')
    .select(['tokens.token_id', 'tokens.sequence', 'people.name', 'label', 'tokens.created_at'])
    .select(['tokens.created_by', 'expires_at', 'last_used_at', 'revoked_at', isOpen.as('isOpen')])
    .orderBy('tokens.sequence', 'desc')
    .limit(limit);
  if (personId !== undefined) query = query.where('tokens.person_id', '=', personId);
  if (before !== undefined) query = query.where('tokens.sequence', '<', before);
  return query.execute();
}

/**
 * Revokes a token, and with it the sessions that were opened with it. Repeating it changes nothing.
 * `personId`: only if it is this person's.
 * @throws NotFoundError
 */
export async function revokeToken(
  trx: Transaction,
  { tokenId, personId, actor }: { tokenId: string; personId: string | undefined; actor: string },
): Promise<TokenRow> {
  let query = trx
    .selectFrom('tokens')
    .innerJoin('people', 'people.person_id', 'tokens.person_id')
    .selectAll('tokens')
    .select('people.name')
    .where('token_id', '=', tokenId);
  if (personId !== undefined) query = query.where('tokens.person_id', '=', personId);
  const found = await query.forUpdate('tokens').executeTakeFirst();
  if (found === undefined) throw new NotFoundError(`There is no token ${tokenId}`);
  const { hash, person_id, ...row } = found;
  if (row.revoked_at !== null) return { ...row, isOpen: false };
  const { revoked_at } = await trx
    .updateTable('tokens')
    .set({ revoked_at: sql<Date>`now()` })
    .where('token_id', '=', tokenId)
    .returning('revoked_at')
    .executeTakeFirstOrThrow();
  await audit(trx, {
    actor,
    action: 'token.revoke',
    details: { tokenId, name: row.name, label: row.label },
  });
  return { ...row, revoked_at, isOpen: false };
}

/** Finds whose tokens are, and whether they still count. */
export interface Tokens {
  /** Undefined: it is none of ours, was revoked or has expired. */
  find(text: string): Promise<(Holder & { tokenId: string }) | undefined>;
  isOpen(tokenId: string): Promise<boolean>;
}

export function createTokens(database: Database): Tokens {
  const touch = async (tokenId: string) => {
    await database
      .updateTable('tokens')
      .set({ last_used_at: sql<Date>`now()` })
      .where('token_id', '=', tokenId)
      .where(isStale)
      .execute();
  };
  return {
    find: async (text) => {
      if (!FORM.test(text)) return undefined;
      const found = await database
        .selectFrom('tokens')
        .innerJoin('people', 'people.person_id', 'tokens.person_id')
        .select(['token_id', 'people.person_id', 'name', 'role', isStale.as('isStale')])
        .where('hash', '=', hashOf(text))
        .where(isOpen)
        .executeTakeFirst();
      if (found === undefined) return undefined;
      const { token_id: tokenId, person_id: personId, name, role } = found;
      if (found.isStale) await touch(tokenId);
      return { tokenId, personId, name, role };
    },
    isOpen: async (tokenId) => {
      const query = database.selectFrom('tokens').select('token_id').where('token_id', '=', tokenId);
      return (await query.where(isOpen).executeTakeFirst()) !== undefined;
    },
  };
}

const isStale = sql<boolean>`(last_used_at is null or last_used_at < now() - make_interval(mins => ${USE_MINUTES}))`;
