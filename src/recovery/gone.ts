import { toServerName } from '../../stacks/inputs.ts';
import { audit } from '../agents/audit.ts';
import { KEPT_STATUSES } from '../agents/states.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { findOperation } from '../operations/registry.ts';
import { insertOperation } from '../operations/requests.ts';
import type { Queue } from '../queue/queue.ts';
import type { Unclear } from './plan.ts';
import type { Survey } from './survey.ts';

/**
 * Agents of a restored backup that were destroyed since: neither a server, a snapshot nor an SSH key of
 * theirs exists, which lasts as long as its agent. They are destroyed once more: nothing is made again, and
 * what the backup brought back of them, such as their stacks, is removed.
 * If that would be most of them, it is left to a person: the project or the backup may be the wrong one.
 * @throws ConflictError if nothing of any of several agents exists
 */
export async function destroyGone(
  { database, queue }: { database: Database; queue: Queue },
  survey: Survey,
  actor: string,
): Promise<{ destroyed: string[]; unclear: Unclear[] }> {
  const rows = await database
    .selectFrom('agents')
    .select(['agent_id', 'server_id', 'snapshot_id', 'inputs'])
    .where('status', 'in', [...KEPT_STATUSES])
    .execute();
  const servers = new Set(survey.servers.flatMap(({ id, name }) => [id, name]));
  const keys = new Set(survey.sshKeys.map(({ name }) => name));
  const snapshots = new Set(survey.snapshots.map(({ id }) => id));
  const gone = rows.filter((row) => {
    const { serverName } = (row.inputs ?? {}) as { serverName?: string };
    const name = toServerName({ agentId: row.agent_id, serverName });
    const isLeft = servers.has(row.server_id ?? '') || servers.has(name) || keys.has(name);
    return !isLeft && !snapshots.has(row.snapshot_id ?? '');
  });
  const ids = gone.map((row) => row.agent_id);
  if (ids.length > 1 && ids.length === rows.length)
    throw new ConflictError(
      `Nothing of any of the ${rows.length} agents exists in this Hetzner project: start with the HCLOUD_TOKEN of the one in which they were created`,
    );
  if (ids.length * 2 > rows.length) return { destroyed: [], unclear: ids.map(toUnclear) };
  for (const agentId of ids)
    await database.transaction().execute(async (trx) => {
      await lockAgent(trx, agentId);
      await findOperation('destroy')?.request?.(trx, agentId);
      const { operation_id: operationId } = await insertOperation(trx, queue, { agentId, kind: 'destroy' });
      await audit(trx, { actor, action: 'recovery.destroyed', agentId, operationId });
    });
  return { destroyed: ids, unclear: [] };
}

const toUnclear = (agentId: string): Unclear => ({
  key: `${agentId} gone`,
  agentId,
  cause: `Nothing of agent ${agentId} exists at Hetzner, as of most agents of this backup.`,
  cure: 'If it was destroyed since the backup, destroy it once more.',
});
