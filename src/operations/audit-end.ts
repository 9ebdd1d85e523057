import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationRow } from './rows.ts';

/** Records the end of an operation in the audit log; who asked for it stands there already. */
export async function auditEnd(trx: Transaction, row: OperationRow): Promise<void> {
  const { kind, status, attempt, error } = row;
  if (row.finished_at === null) return;
  await audit(trx, {
    actor: 'service',
    action: `operation.${status}`,
    agentId: row.agent_id,
    operationId: row.operation_id,
    details: { kind, attempt, ...(error !== null && { error }) },
  });
}
