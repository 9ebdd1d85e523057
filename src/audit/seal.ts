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
import { mustHaveChain } from './history.ts';

const LOOK_SECONDS = 1;
const MOST_AT_ONCE = 500;
const CHAIN_LOCK = sql<number>`hashtext('audit chain')`;

/** The chain is not what its signature says, or what this process has seen. Sealing on would hide that. */
export class BrokenChainError extends Error {
  override name = 'BrokenChainError';
}

/** The end of the chain that a process has seen last. The database cannot change it; a restart forgets it. */
export interface SealerMemory {
  end?: { position: number; hash: Buffer };
}

/** Seals the audit log's new rows until stopped. Every worker does this, one at a time. */
export function startSealing(
  { database, log, keyring }: { database: Database; log: Log; keyring: Keyring },
  { lookSeconds = LOOK_SECONDS, isDue }: { lookSeconds?: number; isDue?: IsDue | undefined } = {},
): Repeating {
  let told: string | undefined;
  const memory: SealerMemory = {};
  const seal = async () => {
    try {
      await sealAudit(database, keyring, memory);
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
 * @param memory of the earlier calls of this process; it changes once the rows are committed
 * @returns how many; 0 too while another process does it
 * @throws BrokenChainError
 */
export async function sealAudit(
  database: Database,
  keyring: Keyring,
  memory: SealerMemory = {},
): Promise<number> {
  const { count, end } = await database.transaction().execute(async (trx) => {
    const { rows: locks } = await sql<{ locked: boolean }>`
      select pg_try_advisory_xact_lock(${CHAIN_LOCK}, 0) as locked`.execute(trx);
    if (locks[0]?.locked !== true) return { count: 0, end: undefined };
    const { rows } = await sql<SealedRow>`select ${SEALED_COLUMNS} from audit_log a
      where not a.sealed and not exists (select 1 from audit_chain c where c.audit_id = a.id)
      order by a.id limit ${MOST_AT_ONCE}`.execute(trx);
    const key = (await readChainKeys(trx, keyring)).present;
    const before = await readHead(trx, key, memory);
    return { count: rows.length, end: rows.length === 0 ? before : await append(trx, { key, before, rows }) };
  });
  if (end !== undefined) memory.end = end;
  return count;
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

interface ChainPosition {
  position: number;
  hash: Buffer;
}

/** @returns where the chain ends then */
async function append(
  trx: Transaction,
  { key, before, rows }: { key: AuditKey; before: ChainPosition; rows: readonly SealedRow[] },
): Promise<ChainPosition> {
  let { position, hash } = before;
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
  return { position, hash };
}

/** @throws BrokenChainError */
async function readHead(trx: Transaction, key: AuditKey, memory: SealerMemory): Promise<ChainPosition> {
  await assertContinues(trx, memory);
  const { isWhole, ...end } = await readEnd(trx, key);
  if (!isWhole)
    throw new BrokenChainError(
      'The end of the audit chain does not match its signature: run npm run agents -- audit verify',
    );
  if (end.position === 0 && (await mustHaveChain(trx)))
    throw new BrokenChainError(
      'The audit chain is empty, and this installation is not new: run npm run agents -- audit verify',
    );
  return end;
}

/** An old end has an old signature, which is as good as the last one: only who has seen more knows. */
async function assertContinues(trx: Transaction, { end }: SealerMemory): Promise<void> {
  if (end === undefined || end.position === 0) return;
  const link = await trx
    .selectFrom('audit_chain')
    .select('hash')
    .where('position', '=', end.position)
    .executeTakeFirst();
  if (link !== undefined && isSame(link.hash, end.hash)) return;
  throw new BrokenChainError(
    `The audit chain no longer has the link ${end.position}:${end.hash.toString('hex')}, which this process has seen: run npm run agents -- audit verify --head with it`,
  );
}

interface ChainEnd extends ChainPosition {
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
