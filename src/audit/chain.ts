import { createHmac, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { readEpochs } from '../keys/epochs.ts';
import type { Keyring } from '../keys/keyring.ts';

/** A key of the chain. It is never stored: whoever can only write to the database cannot continue it. */
export type AuditKey = Buffer;

/** The keys of the whole chain: each passphrase has signed from a position on. */
export interface ChainKeys {
  /** Continues the chain and signs where it ends. */
  present: AuditKey;
  at(position: number): AuditKey;
}

/**
 * Reads the keys of the chain. Those of former passphrases are stored, sealed with the present one: they
 * prove what was written before the change, and the end that the present key has signed proves that nobody
 * has used them since.
 * @throws UnknownKeyError, OtherPassphraseError if this process has not the present passphrase
 */
export async function readChainKeys(trx: Transaction, keyring: Keyring): Promise<ChainKeys> {
  const epochs = await readEpochs(trx, keyring);
  const present = epochs.at(-1)?.keys.audit ?? keyring.current.audit;
  return {
    present,
    at: (position) =>
      epochs.findLast(({ firstPosition }) => firstPosition <= position)?.keys.audit ?? present,
  };
}

/** A row of the audit log in the exact texts that Postgres gives, so that no conversion can change it. */
export interface SealedRow {
  id: string;
  /** Microseconds since 1970. */
  at: string;
  actor: string;
  action: string;
  agentId: string | null;
  operationId: string | null;
  /** The text of the jsonb, which has one form only. */
  details: string;
}

/** The columns of a `SealedRow` of the table `a`. */
export const SEALED_COLUMNS = sql<never>`a.id::text as id, (extract(epoch from a.at) * 1000000)::bigint::text as at,
  a.actor, a.action, a.agent_id as "agentId", a.operation_id::text as "operationId", a.details::text as details`;

/** What the first link follows. */
export const BEGINNING = Buffer.alloc(32);

/** The hash of a link: over the one before it, its position and its row. */
export function linkHash(key: AuditKey, previous: Buffer, position: number, row: SealedRow): Buffer {
  const { id, at, actor, action, agentId, operationId, details } = row;
  const text = JSON.stringify([position, id, at, actor, action, agentId, operationId, details]);
  return createHmac('sha256', key).update('link\n').update(previous).update(text).digest();
}

/** Signs where the chain ends. */
export function headSignature(key: AuditKey, position: number, hash: Buffer): Buffer {
  return createHmac('sha256', key).update(`head\n${position}\n`).update(hash).digest();
}

export function isSame(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
