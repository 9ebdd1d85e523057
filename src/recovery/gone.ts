import { audit } from '../agents/audit.ts';
import { KEPT_STATUSES } from '../agents/states.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { ConflictError } from '../errors.ts';
import { findOperation } from '../operations/registry.ts';
import { insertOperation } from '../operations/requests.ts';
import type { Queue } from '../queue/queue.ts';
import { findUnlisted, leftFinder } from './left.ts';
import type { Unclear } from './plan.ts';
import type { Survey, SurveyedClouds } from './survey.ts';

interface Deps {
  database: Database;
  queue: Queue;
  clouds: Pick<SurveyedClouds, 'projects'>;
}

/**
 * Agents of a restored backup that were destroyed since: neither a server, a snapshot nor an SSH key of
 * theirs exists, which lasts as long as its agent. They are destroyed once more: nothing is made again, and
 * what the backup brought back of them, such as their stacks, is removed. If that would be most of them, it
 * is left to a person: the project or the backup may be the wrong one. So is an agent that is protected or
 * held, and one of which Hetzner has something that carries no label.
 * @throws ConflictError if nothing of any of several agents exists
 */
export async function destroyGone(
  { database, queue, clouds }: Deps,
  { survey, isNamed }: { survey: Survey; isNamed: (agentId: string) => boolean },
  actor: string,
): Promise<{ destroyed: string[]; unclear: Unclear[] }> {
  const rows = await listKept(database);
  const isLeft = leftFinder(survey);
  const gone = rows.filter((row) => !isLeft(row));
  const ids = gone.map((row) => row.agent_id);
  if (ids.length > 1 && ids.length === rows.length)
    throw new ConflictError(
      `Nothing of any of the ${rows.length} agents exists in this Hetzner project: start with the HCLOUD_TOKEN of the one in which they were created`,
    );
  if (ids.length * 2 > rows.length) return { destroyed: [], unclear: ids.map(toUnclear) };
  const destroyed: string[] = [];
  const unclear: Unclear[] = [];
  for (const row of gone) {
    const { agent_id: agentId } = row;
    const doubt = isNamed(agentId) ? 'something carries its name' : await findDoubt(clouds, row);
    if (doubt !== undefined) {
      unclear.push(inDoubt(agentId, doubt));
      continue;
    }
    await destroy({ database, queue }, agentId, actor);
    destroyed.push(agentId);
  }
  return { destroyed, unclear };
}

const listKept = (database: Database) =>
  database
    .selectFrom('agents')
    .select(['agent_id', 'project', 'server_id', 'snapshot_id', 'inputs', 'protected'])
    .select((row) =>
      row
        .exists(row.selectFrom('holds').whereRef('holds.agent_id', '=', 'agents.agent_id').select('reason'))
        .as('is_held'),
    )
    .where('status', 'in', [...KEPT_STATUSES])
    .execute();

type Kept = Awaited<ReturnType<typeof listKept>>[number];

/**
 * Why it must not be destroyed. Labels can be removed by anybody, and a page that moves can skip something.
 */
async function findDoubt({ projects }: Deps['clouds'], row: Kept): Promise<string | undefined> {
  if (row.protected) return 'it is protected';
  if (row.is_held) return 'it is held';
  const hetzner = projects.get(row.project);
  if (hetzner === undefined) return `its Hetzner project ${row.project} is not configured`;
  return findUnlisted(hetzner, row);
}

async function destroy({ database, queue }: Omit<Deps, 'clouds'>, agentId: string, actor: string) {
  await database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    await findOperation('destroy')?.request?.(trx, agentId);
    const { operation_id: operationId } = await insertOperation(trx, queue, { agentId, kind: 'destroy' });
    await audit(trx, { actor, action: 'recovery.destroyed', agentId, operationId });
  });
}

const inDoubt = (agentId: string, doubt: string): Unclear => ({
  key: `${agentId} gone`,
  agentId,
  cause: `Agent ${agentId} of this backup seems to have been destroyed since, and ${doubt}.`,
  cure: 'Look at it at Hetzner and Tailscale. If it was destroyed, destroy it once more; otherwise give its server and SSH key their labels again (agent-id, managed-by), and restore the backup once more.',
});

const toUnclear = (agentId: string): Unclear => ({
  key: `${agentId} gone`,
  agentId,
  cause: `Nothing of agent ${agentId} exists at Hetzner, as of most agents of this backup.`,
  cure: 'If it was destroyed since the backup, destroy it once more.',
});
