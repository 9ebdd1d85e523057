import { findStoppingHolds, type Hold } from '../agents/holds.ts';
import type { AgentRow } from '../agents/store.ts';
import type { Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import type { OperationDefinition } from './definition.ts';

/**
 * Refuses an operation that would run a held agent or remove a protected one. The caller has locked the
 * agent.
 * @throws ConflictError
 */
export async function refuseHeld(
  trx: Transaction,
  agent: Pick<AgentRow, 'agent_id' | 'protected'>,
  { kind, runsAgent = false, removesAgent = false }: OperationDefinition,
): Promise<void> {
  const { agent_id: agentId } = agent;
  if (removesAgent && agent.protected)
    throw new ConflictError(`Agent ${agentId} is protected; a ${kind} is possible once it is not`);
  if (!runsAgent) return;
  const holds = await findStoppingHolds(trx, agentId);
  if (holds.length === 0) return;
  throw new ConflictError(
    `Agent ${agentId} is held (${holds.map(describeHold).join('; ')}); a ${kind} is possible once nothing holds it`,
  );
}

function describeHold({ reason, since, by, note }: Hold): string {
  return `${reason} since ${since.toISOString()}, by ${by}${note === null ? '' : `: ${note}`}`;
}
