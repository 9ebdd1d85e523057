import type { Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';

export interface AuditEntry {
  /** A person, or one of `ACTORS`; `ada via mcp`: a program that acts for her. */
  actor: string;
  /** As noun.verb. */
  action: string;
  agentId?: string;
  operationId?: string;
  details?: Record<string, unknown>;
}

/** Records who did what, in the transaction that does it. */
export async function audit(trx: Transaction, ...entries: AuditEntry[]): Promise<void> {
  if (entries.length === 0) return;
  await trx
    .insertInto('audit_log')
    .values(
      entries.map((entry) => ({
        actor: entry.actor,
        action: entry.action,
        agent_id: entry.agentId ?? null,
        operation_id: entry.operationId ?? null,
        details: jsonText(entry.details ?? {}),
      })),
    )
    .execute();
}
