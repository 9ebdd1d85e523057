import { endDrill } from '../agents/drills.ts';
import {
  beginLastSnapshot,
  findCompleteSnapshot,
  keepLastSnapshot,
  type MadeSnapshot,
} from '../agents/snapshots.ts';
import { getAgent } from '../agents/store.ts';
import type { SnapshotPolicy } from '../config/snapshots.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { whileHeld } from './claims.ts';
import type { OperationRow } from './rows.ts';
import type { AgentSnapshotParts, LastSnapshot, LastSnapshotParts } from './runbook-parts.ts';

type Destroying = Pick<OperationRow, 'operation_id' | 'agent_id'>;

/** Whether the plan of the destroyed agent has a last snapshot; then its row is there. */
export async function beginLast(
  trx: Transaction,
  policy: SnapshotPolicy,
  { operation_id: operationId, agent_id: agentId }: Destroying,
): Promise<LastSnapshot> {
  if ((await keptMsOf(trx, policy, agentId)) === undefined) return { isWanted: false };
  return { isWanted: true, keptId: await beginLastSnapshot(trx, { agentId, operationId }) };
}

/**
 * @throws ConflictError if the plan has none, or it was given up meanwhile
 * @throws InvalidInputError for another agent's snapshot
 */
export async function keepLast(
  trx: Transaction,
  policy: SnapshotPolicy,
  { operation_id: operationId, agent_id: agentId, made }: Destroying & { made: MadeSnapshot },
): Promise<void> {
  const keptMs = await keptMsOf(trx, policy, agentId);
  if (keptMs === undefined) throw new ConflictError(`The plan of agent ${agentId} has no last snapshot`);
  await keepLastSnapshot(trx, { operationId, agentId }, { ...made, keptMs });
}

async function keptMsOf(trx: Transaction, policy: SnapshotPolicy, agentId: string) {
  const { plan } = await getAgent(trx, agentId);
  return policy[plan as keyof SnapshotPolicy]?.lastMs;
}

/** The last snapshots in this database, as the runbooks of a worker record them. */
export function createLastSnapshots(database: Database, policy: SnapshotPolicy): LastSnapshotParts {
  return {
    begin: async ({ operation }) => {
      let begun: LastSnapshot = { isWanted: false };
      await whileHeld(database, operation, async (trx) => {
        begun = await beginLast(trx, policy, operation);
      });
      return begun;
    },
    keep: ({ operation }, made) =>
      whileHeld(database, operation, (trx) => keepLast(trx, policy, { ...operation, made })),
    endDrill: ({ operation }) => endDrill(database, operation.agent_id),
  };
}

/** The snapshots in this database, to which agents are put back. */
export const createAgentSnapshots = (database: Database): AgentSnapshotParts => ({
  find: async ({ agent: { agent_id: agentId } }, snapshotId) => {
    const row = await findCompleteSnapshot(database, { agentId, snapshotId });
    if (row === undefined) return undefined;
    const { server_id: serverId, tailnet_node_id: tailnetNodeId, secrets } = row;
    return { hetznerId: row.hetzner_id!, serverId, tailnetNodeId, ...(secrets !== null && { secrets }) };
  },
});
