import type { ColumnType, Generated } from 'kysely';
import type { DefaultTimestamp, Json } from './column-types.ts';

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
