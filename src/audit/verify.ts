import { sql } from 'kysely';
import type { Database, Transaction } from '../database/connect.ts';
import type { Keyring } from '../keys/keyring.ts';
import {
  BEGINNING,
  type ChainKeys,
  headSignature,
  isSame,
  linkHash,
  readChainKeys,
  SEALED_COLUMNS,
  type SealedRow,
} from './chain.ts';
import { mustHaveChain } from './history.ts';

/**
 * The first thing that is wrong; a `date` comes after all others, because the database's clock alone can
 * cause it. Ids are null where there is none.
 */
export interface Flaw {
  kind: 'altered' | 'removed' | 'inserted' | 'link-missing' | 'head' | 'receipt' | 'date';
  position: number | null;
  auditId: number | null;
  detail: string;
}

export interface Verification {
  /** How many rows were verified. */
  rows: number;
  /** Rows that are newer than the last sealing. */
  waiting: number;
  /** The end of the chain; null while it is empty. */
  head: { position: number; hash: string } | null;
  flaw: Flaw | null;
}

/** An end of the chain that was noted earlier, outside the database. */
export interface NotedHead {
  position: number;
  hash: string;
}

const PAGE = 1_000;
/** A row is dated when it is written and sealed after the commit, which comes long before this. */
const LATEST_MICROSECONDS = 600 * 1_000_000;

/**
 * Recomputes the whole chain on one snapshot of the database. Finds rows that were altered, removed, swapped
 * or inserted, an end that was cut off, receipts that are not those in the log, and dates that go back.
 * `noted`: an earlier end, which must still be in the chain; dates before it have been looked at.
 */
export async function verifyAudit(
  database: Database,
  keyring: Keyring,
  noted?: NotedHead,
): Promise<Verification> {
  return database
    .transaction()
    .setIsolationLevel('repeatable read')
    .execute(async (trx) => {
      const keys = await readChainKeys(trx, keyring);
      const walk = await walkChain(trx, keys, noted);
      const { count } = await countWaiting(trx);
      const flaw =
        walk.flaw ??
        (await checkHead(trx, keys, walk, noted)) ??
        (await findInserted(trx)) ??
        (await findWrongReceipt(trx)) ??
        walk.dated ??
        (await findDated(trx, walk.latest));
      const head = walk.position === 0 ? null : { position: walk.position, hash: walk.hash.toString('hex') };
      return { rows: walk.position, waiting: count, head, flaw: flaw ?? null };
    });
}

interface Walk {
  position: number;
  hash: Buffer;
  /** The latest time in a row since the noted end, in microseconds. */
  latest: number;
  flaw: Flaw | undefined;
  /** The first row whose date goes back. */
  dated: Flaw | undefined;
  /** Whether the noted end was passed. */
  sawNoted: boolean;
}

interface LinkRow extends SealedRow {
  position: number;
  auditId: number;
  hash: Buffer;
}

async function walkChain(trx: Transaction, keys: ChainKeys, noted: NotedHead | undefined): Promise<Walk> {
  const nothing = { flaw: undefined, dated: undefined };
  const walk: Walk = { position: 0, hash: BEGINNING, latest: 0, ...nothing, sawNoted: false };
  for (;;) {
    const { rows } = await sql<LinkRow>`
      select c.position, c.audit_id as "auditId", c.hash, ${SEALED_COLUMNS}
      from audit_chain c left join audit_log a on a.id = c.audit_id
      where c.position > ${walk.position} order by c.position limit ${PAGE}`.execute(trx);
    for (const row of rows) {
      walk.flaw = checkLink(keys, walk, row);
      if (walk.flaw !== undefined) return walk;
      walk.position = row.position;
      walk.hash = row.hash;
      checkDate(walk, row);
      if (noted?.position === row.position && noted.hash === row.hash.toString('hex'))
        Object.assign(walk, { sawNoted: true, dated: undefined, latest: Number(row.at) });
    }
    if (rows.length < PAGE) return walk;
  }
}

function checkLink(keys: ChainKeys, walk: Walk, row: LinkRow): Flaw | undefined {
  const { position, auditId } = row;
  const at = { position, auditId };
  if (position !== walk.position + 1)
    return { ...at, kind: 'link-missing', detail: `The chain has no link ${walk.position + 1}` };
  if (row.id === null) return { ...at, kind: 'removed', detail: `Row ${auditId} is gone` };
  if (!isSame(row.hash, linkHash(keys.at(position), walk.hash, position, row)))
    return { ...at, kind: 'altered', detail: `Row ${auditId} is not the one that was sealed` };
  return undefined;
}

function checkDate(walk: Walk, { position, auditId, at }: LinkRow): void {
  if (Number(at) < walk.latest - LATEST_MICROSECONDS) walk.dated ??= datedBefore(position, auditId);
  walk.latest = Math.max(walk.latest, Number(at));
}

function datedBefore(position: number | null, auditId: number): Flaw {
  const detail =
    `Row ${auditId} is dated before rows that were sealed earlier: it was slipped in, or the database's clock ` +
    'was set back';
  return { kind: 'date', position, auditId, detail };
}

async function checkHead(
  trx: Transaction,
  keys: ChainKeys,
  walk: Walk,
  noted: NotedHead | undefined,
): Promise<Flaw | undefined> {
  const head = await trx.selectFrom('audit_head').select(['position', 'signature']).executeTakeFirst();
  const at = { position: walk.position, auditId: null };
  const isWhole =
    head === undefined
      ? walk.position === 0
      : head.position === walk.position &&
        isSame(head.signature, headSignature(keys.present, walk.position, walk.hash));
  if (!isWhole)
    return {
      ...at,
      kind: 'head',
      detail: `The chain ends at ${walk.position}, which its signature does not say`,
    };
  if (walk.position === 0 && (await mustHaveChain(trx)))
    return { ...at, kind: 'head', detail: 'The chain is empty, and this installation is not new' };
  if (noted !== undefined && !walk.sawNoted)
    return { ...at, kind: 'head', detail: `The chain does not contain the noted end at ${noted.position}` };
  return undefined;
}

const countWaiting = (trx: Transaction) =>
  trx
    .selectFrom('audit_log')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('sealed', '=', false)
    .executeTakeFirstOrThrow();

/** Finds a row outside the chain that claims to be in it. */
async function findInserted(trx: Transaction): Promise<Flaw | undefined> {
  const { rows } = await sql<{ id: number }>`select a.id from audit_log a
    where not exists (select 1 from audit_chain c where c.audit_id = a.id) and a.sealed
    order by a.id limit 1`.execute(trx);
  const [row] = rows;
  if (row === undefined) return undefined;
  return { kind: 'inserted', position: null, auditId: row.id, detail: `Row ${row.id} was never sealed` };
}

/** Finds a row that waits for its sealing and is dated before what is sealed. */
async function findDated(trx: Transaction, latest: number): Promise<Flaw | undefined> {
  const { rows } = await sql<{ id: number }>`select a.id from audit_log a
    where not a.sealed and extract(epoch from a.at) * 1000000 < ${latest - LATEST_MICROSECONDS}
    order by a.id limit 1`.execute(trx);
  return rows[0] && datedBefore(null, rows[0].id);
}

/** Finds a receipt whose text is not the one in the log, or that is missing or in excess. */
async function findWrongReceipt(trx: Transaction): Promise<Flaw | undefined> {
  const { rows } = await sql<{ receiptId: string; auditId: number | null }>`
    with issued as (select id, details->>'receiptId' as receipt_id, details->>'hash' as hash
      from audit_log where action = 'receipt.issued')
    select coalesce(r.receipt_id, i.receipt_id) as "receiptId", i.id as "auditId"
    from receipts r full join issued i on i.receipt_id = r.receipt_id
    where i.id is null or r.receipt_id is null
      or i.hash is distinct from encode(sha256(convert_to(r.body::text, 'UTF8')), 'hex')
    order by i.id limit 1`.execute(trx);
  const [row] = rows;
  if (row === undefined) return undefined;
  const detail = `Receipt ${row.receiptId} is not the one in the log`;
  return { kind: 'receipt', position: null, auditId: row.auditId, detail };
}
