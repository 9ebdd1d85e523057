import { sql } from 'kysely';
import { audit } from '../agents/audit.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { afterCancel } from '../operations/after-cancel.ts';
import { cancelQueued } from '../operations/endings.ts';
import { appendEvents } from '../operations/events/events.ts';
import type { OperationRow } from '../operations/rows.ts';
import type { Queue } from '../queue/queue.ts';
import { findUnlisted, type Left } from './left.ts';
import type { Unclear } from './plan.ts';
import type { SurveyedClouds } from './survey.ts';

interface Deps {
  database: Database;
  queue: Queue;
  clouds: Pick<SurveyedClouds, 'projects'>;
}

const HELD = 'recovery.held';
const WHY =
  'Its provision was under way in the backup, and nothing of it exists: it may have been destroyed since';

/**
 * Provisions of a restored backup of whose agents no cloud has anything. They may not have begun, or their
 * agents may have run and been destroyed since, and an id is never used again. So they are cancelled, which
 * makes nothing, until a person retries or destroys them. Those that an earlier run has cancelled are told
 * again.
 */
export async function holdProvisions(
  { database, queue, clouds }: Deps,
  isLeft: Left,
  actor: string,
): Promise<Unclear[]> {
  const unbegun: Provision[] = [];
  for (const row of await listProvisions(database)) {
    const hetzner = clouds.projects.get(row.project);
    if (isLeft(row) || (hetzner && (await findUnlisted(hetzner, row)) !== undefined)) continue;
    unbegun.push(row);
  }
  for (const row of unbegun) if (row.status === 'queued') await hold({ database, queue }, row, actor);
  return unbegun.map(toUnclear);
}

const listProvisions = (database: Database) =>
  database
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .select([
      'o.operation_id',
      'o.status',
      'a.agent_id',
      'a.project',
      'a.server_id',
      'a.snapshot_id',
      'a.inputs',
    ])
    .where('o.kind', '=', 'provision')
    .where('a.status', 'in', ['requested', 'provisioning', 'failed'])
    .where(sql<boolean>`(o.status = 'queued' or (o.status = 'cancelled' and exists (
      select 1 from audit_log l where l.operation_id = o.operation_id and l.action = ${HELD})))`)
    .orderBy('o.sequence')
    .execute();

type Provision = Awaited<ReturnType<typeof listProvisions>>[number];

async function hold(
  { database, queue }: Omit<Deps, 'clouds'>,
  { operation_id: operationId, agent_id: agentId }: Provision,
  actor: string,
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    await lockAgent(trx, agentId);
    const operation: OperationRow = await trx
      .selectFrom('operations')
      .selectAll()
      .where('operation_id', '=', operationId)
      .forNoKeyUpdate()
      .executeTakeFirstOrThrow();
    if (operation.status !== 'queued') return;
    await appendEvents(trx, operationId, operation.attempt, [
      { type: 'log', data: { line: WHY, stream: 'service' } },
    ]);
    await cancelQueued(trx, operation);
    await afterCancel(trx, queue, operation, `${WHY}.`);
    await audit(trx, { actor, action: HELD, agentId, operationId });
  });
}

const toUnclear = ({ agent_id: agentId, operation_id: operationId }: Provision): Unclear => ({
  key: `${agentId} unbegun`,
  agentId,
  cause: `The provision of agent ${agentId} was under way in this backup, and nothing of it exists. It has not begun, or the agent was destroyed since.`,
  cure: `Find out which, by its order at Stripe and the notices that were sent. If it has not begun: npm run agents -- retry ${operationId}. If it was destroyed: npm run agents -- destroy ${agentId}, which keeps its id from being used again.`,
});
