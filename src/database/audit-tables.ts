import type { ColumnType, Generated } from 'kysely';
import type { Defaulted, DefaultTimestamp, Json } from './column-types.ts';

/** One link of the chain over the audit log (src/audit/chain.ts). */
export interface AuditChainTable {
  position: number;
  audit_id: ColumnType<number, number | string, never>;
  hash: Buffer;
}

export interface AuditHeadTable {
  singleton: Generated<boolean>;
  position: number;
  signature: Buffer;
}

/** Proves what was deleted; its hash is in the audit log. */
export interface ReceiptTable {
  receipt_id: Generated<string>;
  sequence: Generated<number>;
  agent_id: string;
  kind: string;
  body: Json<Record<string, unknown>>;
  created_at: DefaultTimestamp;
}

export interface AuditLogTable {
  id: Generated<number>;
  at: DefaultTimestamp;
  actor: string;
  action: string;
  agent_id: string | null;
  operation_id: string | null;
  details: Json<Record<string, unknown>>;
  /** Whether the chain has it (src/audit/seal.ts). */
  sealed: Defaulted<boolean>;
}
