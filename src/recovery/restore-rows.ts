import { sql } from 'kysely';
import { markServerAdopted } from '../agents/adoptions.ts';
import { audit } from '../agents/audit.ts';
import { recordJoinName, refuseForeignDevices } from '../agents/devices.ts';
import { placeHold } from '../agents/holds.ts';
import type { Vault } from '../agents/secrets.ts';
import { recordServerName } from '../agents/server-names.ts';
import { findAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { endUnfinished } from '../operations/endings.ts';
import { insertOperation } from '../operations/requests.ts';
import type { Queue } from '../queue/queue.ts';
import type { Found } from './plan.ts';

export interface RowDeps {
  database: Database;
  queue: Queue;
  vault: Vault;
  actor: string;
  /** Whether a row that exists may be older than the record: it is from a backup, or of a repeated order. */
  overwrites: boolean;
}

/** What was done about an agent or a slot; `known`: nothing, because its row is there. */
export type Restored = 'rebuilt' | 'corrected' | 'resumed' | 'known';

/**
 * Writes the rows of one agent and queues the import of its stack, all of it or nothing. A kill between two
 * of them leaves whole ones, and the next run goes on with the others.
 * @throws ConflictError if a name or a device of it belongs to another
 */
export async function restoreRows(deps: RowDeps, found: Found): Promise<Restored> {
  return deps.database.transaction().execute((trx) => restoreAgent(trx, deps, found));
}

async function restoreAgent(trx: Transaction, deps: RowDeps, found: Found): Promise<Restored> {
  const { record } = found;
  const known = await findAgent(trx, record.id);
  // An id is never used again, and what is being removed goes on being removed.
  const isOver = known !== undefined && ['destroying', 'destroyed'].includes(known.status);
  if (known !== undefined && (isOver || !deps.overwrites)) return 'known';
  await endUnfinished(trx, record.id);
  await upsertAgent(trx, deps.vault, found);
  // Only a record of a complete adoption becomes a row: a backup may be of before its end.
  if (found.kind !== 'unfinished') await markServerAdopted(trx, record.id);
  await recordServerName(trx, record.id, record.inputs);
  await recordJoinName(trx, record.id, record.inputs);
  if ('reached' in found && found.reached !== undefined) {
    const { tailnetIp, nodeId: tailnetNodeId } = found.reached;
    await refuseForeignDevices(trx, [{ agentId: record.id, outputs: { tailnetIp, tailnetNodeId } }]);
  }
  await restoreHolds(trx, record);
  const kind = found.kind === 'unfinished' ? 'provision' : 'import';
  const operation = await insertOperation(trx, deps.queue, { agentId: record.id, kind });
  // The provision looks for what its first attempt has made.
  if (kind === 'provision')
    await trx
      .updateTable('operations')
      .set({ attempt: 1 })
      .where('operation_id', '=', operation.operation_id)
      .execute();
  const restored = kind === 'provision' ? 'resumed' : known === undefined ? 'rebuilt' : 'corrected';
  await audit(trx, {
    actor: deps.actor,
    action: `recovery.${restored}`,
    agentId: record.id,
    operationId: operation.operation_id,
  });
  return restored;
}

async function upsertAgent(trx: Transaction, vault: Vault, found: Found): Promise<void> {
  const { record } = found;
  const row = {
    user_id: record.userId,
    project: record.inputs.project,
    region: record.region,
    location: record.location,
    plan: record.plan,
    health: 'unknown' as const,
    subscription_id: record.subscriptionId ?? null,
    error: null,
    rollback_error: null,
    secrets: vault.seal(record.id, record.keys),
    protected: record.isProtected === true,
    created_at: record.createdAt,
    ...stateColumns(found),
  };
  await trx
    .insertInto('agents')
    .values({ agent_id: record.id, ...row })
    .onConflict((conflict) =>
      conflict.column('agent_id').doUpdateSet({ ...row, updated_at: sql<Date>`now()` }),
    )
    .execute();
}

const NOWHERE = {
  server_id: null,
  server_name: null,
  ipv4: null,
  ipv6: null,
  tailnet_ip: null,
  tailnet_name: null,
  tailnet_node_id: null,
  snapshot_id: null,
};

/** The columns that say in which state it is, and where. */
function stateColumns(found: Found) {
  const { inputs, ...record } = found.record;
  const device = 'reached' in found && found.reached;
  const reached = device && {
    tailnet_ip: device.tailnetIp,
    tailnet_name: device.tailnetName,
    tailnet_node_id: device.nodeId,
  };
  switch (found.kind) {
    case 'unfinished':
      return { ...NOWHERE, status: 'requested' as const, step: 'queued' as const, inputs: jsonText(inputs) };
    case 'hibernated': {
      const hibernated = { ...inputs.hibernated, snapshotId: found.snapshotId };
      const kept = { inputs: jsonText({ ...inputs, hibernated }), snapshot_id: found.snapshotId };
      return { ...NOWHERE, ...reached, ...kept, status: found.kind, step: 'running' as const };
    }
    case 'agent': {
      const { id, name, ipv4 } = found.server;
      const server = { server_id: id, server_name: name, ipv4, ipv6: record.ipv6 ?? null };
      const kept = { snapshot_id: record.snapshotId ?? null, inputs: jsonText(inputs) };
      return { ...NOWHERE, ...reached, ...server, ...kept, status: found.status, step: 'running' as const };
    }
  }
}

async function restoreHolds(trx: Transaction, { id: agentId, holds }: Found['record']): Promise<void> {
  await trx.deleteFrom('holds').where('agent_id', '=', agentId).execute();
  for (const { reason, since, by, note } of holds)
    await placeHold(trx, { agentId, reason, by, at: since, note: note ?? undefined });
}
