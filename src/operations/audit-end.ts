import { audit } from '../agents/audit.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationRow } from './rows.ts';

/** Records the ends of operations in the audit log; who asked for them stands there already. */
export async function auditEnds(trx: Transaction, rows: readonly OperationRow[]): Promise<void> {
  const ended = rows.filter((row) => row.finished_at !== null);
  await audit(
    trx,
    ...ended.map(({ kind, status, attempt, error, agent_id: agentId, operation_id: operationId }) => ({
      actor: 'service',
      action: `operation.${status}`,
      agentId,
      operationId,
      details: { kind, attempt, ...(error !== null && { error }) },
    })),
  );
}
