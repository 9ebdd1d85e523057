import { createHmac, hkdfSync, scryptSync, timingSafeEqual } from 'node:crypto';
import { sql } from 'kysely';
import type { Secret } from '../secret.ts';

/** The chain's key. It is never stored: who can write to the database alone cannot continue the chain. */
export type AuditKey = Buffer;

const SALT = 'agent-stacks audit chain v1';

/** Derives the key from the installation's passphrase. Takes about a tenth of a second. */
export function deriveAuditKey(passphrase: Secret): AuditKey {
  // scrypt first, because people may choose a passphrase that can be guessed.
  const stretched = scryptSync(passphrase.reveal(), SALT, 32);
  return Buffer.from(hkdfSync('sha256', stretched, SALT, 'audit chain', 32));
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
