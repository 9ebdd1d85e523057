import { type AuditEntry, audit } from '../agents/audit.ts';
import { recordFailure } from '../agents/lifecycle.ts';
import type { Transaction } from '../database/connect.ts';
import type { OperationParameters } from '../database/tables.ts';
import type { Queue } from '../queue/queue.ts';
import type { Ending } from './definition.ts';
import { insertOperations } from './insert.ts';
import { findOperation } from './registry.ts';
import { insertOperation } from './requests.ts';
import type { OperationRow } from './rows.ts';

/** A runbook at this step has not changed anything at a cloud yet. */
const UNTOUCHED = 'preparing';

/** Updates the agent after an operation's last failure. */
export async function afterLastFailure(
  trx: Transaction,
  queue: Queue,
  row: OperationRow,
  { error, step }: { error: string; step: string },
): Promise<void> {
  const operation = findOperation(row.kind);
  if (operation?.lastFailure !== undefined)
    await operation.lastFailure({ trx, queue, agentId: row.agent_id, error, step });
  // If nothing was touched yet, the failure is no evidence that the agent is unhealthy.
  else
    await recordFailure(trx, row.agent_id, { error, health: step === UNTOUCHED ? 'unknown' : 'unhealthy' });
}

/** The delay before an operation that frees billed resources runs again after its last failure. */
const REPEAT_SECONDS = 600;

/** Queues another operation of this kind for later, because something may still be billed. */
export async function repeatLater(ending: Ending, kind: string): Promise<void> {
  await queueByService(ending, kind, { cause: 'the last one failed', delaySeconds: REPEAT_SECONDS });
}

/** Queues an operation that the service itself wants, with its cause in the audit log. */
export async function queueByService(
  { trx, queue, agentId }: Pick<Ending, 'trx' | 'queue' | 'agentId'>,
  kind: string,
  { cause, delaySeconds = 0 }: { cause: string; delaySeconds?: number },
): Promise<void> {
  const operation = await insertOperation(trx, queue, { agentId, kind, delaySeconds });
  await audit(trx, toAudited(operation, cause));
}

/** Like queueByService, for several agents and without an announcement: they are not urgent. */
export async function queueAllByService(
  trx: Transaction,
  agentIds: readonly string[],
  kind: string,
  {
    cause,
    delaySeconds = 0,
    parameters,
  }: { cause: string; delaySeconds?: number; parameters?: OperationParameters },
): Promise<void> {
  const operations = agentIds.map((agentId) => ({ agentId, kind, delaySeconds, parameters }));
  const rows = await insertOperations(trx, operations);
  await audit(trx, ...rows.map((row) => toAudited(row, cause)));
}

const toAudited = (
  { kind, agent_id: agentId, operation_id: operationId }: OperationRow,
  cause: string,
): AuditEntry => ({ actor: 'service', action: `agent.${kind}`, agentId, operationId, details: { cause } });
