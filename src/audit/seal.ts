import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Keyring } from '../keys/keyring.ts';
import type { Log } from '../log.ts';
import { type IsDue, type Repeating, repeatEvery } from '../processes/repeat.ts';
import {
  type AuditKey,
  BEGINNING,
  headSignature,
  isSame,
  linkHash,
  readChainKeys,
  SEALED_COLUMNS,
  type SealedRow,
} from './chain.ts';

const LOOK_SECONDS = 1;
const MOST_AT_ONCE = 500;
const CHAIN_LOCK = sql<number>`hashtext('audit chain')`;

/** The end of the chain is not what its signature says. Sealing on would hide that. */
export class BrokenChainError extends Error {
  override name = 'BrokenChainError';
}

/** Seals the audit log's new rows until stopped. Every worker does this, one at a time. */
export function startSealing(
  { database, log, keyring }: { database: Database; log: Log; keyring: Keyring },
  { lookSeconds = LOOK_SECONDS, isDue }: { lookSeconds?: number; isDue?: IsDue | undefined } = {},
): Repeating {
  let told: string | undefined;
  const seal = async () => {
    try {
      await sealAudit(database, keyring);
      told = undefined;
    } catch (error) {
      const message = errorMessage(error);
      // Once for each failure, not every second.
      if (message !== told) log.error({ event: 'audit.seal_failed', error: message }, 'audit log not sealed');
      told = message;
    }
  };
  return repeatEvery(lookSeconds, seal, isDue);
}

/**
 * Appends committed rows of the audit log to the chain, in the order of their ids as far as they are known.
 * @returns how many; 0 too while another process does it
 * @throws BrokenChainError
 */
export async function sealAudit(database: Database, keyring: Keyring): Promise<number> {
  return database.transaction().execute(async (trx) => {
    const { rows: locks } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(${CHAIN_LOCK}, 0) as locked`.execute(trx);
    if (locks[0]?.locked !== true) return 0;
    const { rows } = await sql<SealedRow>`select ${SEALED_COLUMNS} from audit_log a
      where not a.sealed and not exists (select 1 from audit_chain c where c.audit_id = a.id)
      order by a.id limit ${MOST_AT_ONCE}`.execute(trx);
    if (rows.length === 0) return 0;
    await append(trx, (await readChainKeys(trx, keyring)).present, rows);
    return rows.length;
  });
}

/**
 * Signs the end of the chain with another key, which continues it. Nothing is sealed meanwhile. An end that
 * is damaged stays as it is: a new signature would hide that.
 * @returns the first position under the new key
 */
export async function signWithNext(
  trx: Transaction,
  keys: { from: AuditKey; to: AuditKey },
): Promise<number> {
  await sql`select pg_advisory_xact_lock(${CHAIN_LOCK}, 0)`.execute(trx);
  const { position, hash, isWhole } = await readEnd(trx, keys.from);
  if (isWhole && position > 0)
    await trx
      .updateTable('audit_head')
      .set({ signature: headSignature(keys.to, position, hash) })
      .execute();
  return position + 1;
}

async function append(trx: Transaction, key: AuditKey, rows: readonly SealedRow[]): Promise<void> {
  let { position, hash } = await readHead(trx, key);
  const links = rows.map((row) => {
    position += 1;
    hash = linkHash(key, hash, position, row);
    return { position, audit_id: row.id, hash };
  });
  await trx.insertInto('audit_chain').values(links).execute();
  await sql`update audit_log set sealed = true where id = any(${rows.map((row) => row.id)}::bigint[])`.execute(
    trx,
  );
  const signature = headSignature(key, position, hash);
  await trx
    .insertInto('audit_head')
    .values({ position, signature })
    .onConflict((conflict) => conflict.column('singleton').doUpdateSet({ position, signature }))
    .execute();
}

async function readHead(trx: Transaction, key: AuditKey): Promise<{ position: number; hash: Buffer }> {
  const end = await readEnd(trx, key);
  if (!end.isWhole)
    throw new BrokenChainError(
      'The end of the audit chain does not match its signature: run npm run agents -- audit verify',
    );
  return end;
}

interface ChainEnd {
  position: number;
  hash: Buffer;
  /** Whether it is what its signature says. */
  isWhole: boolean;
}

async function readEnd(trx: Transaction, key: AuditKey): Promise<ChainEnd> {
  const last = await trx
    .selectFrom('audit_chain')
    .select(['position', 'hash'])
    .orderBy('position', 'desc')
    .limit(1)
    .executeTakeFirst();
  const head = await trx.selectFrom('audit_head').select(['position', 'signature']).executeTakeFirst();
  if (last === undefined) return { position: 0, hash: BEGINNING, isWhole: head === undefined };
  const isWhole =
    head?.position === last.position && isSame(head.signature, headSignature(key, last.position, last.hash));
  return { ...last, isWhole };
}
