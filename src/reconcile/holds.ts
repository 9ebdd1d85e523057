import { sql } from 'kysely';
import { STOPPING_REASONS } from '../agents/holds.ts';
import { lockAgent } from '../agents/store.ts';
import type { Database } from '../database/connect.ts';
import { errorMessage } from '../errors.ts';
import type { Log } from '../log.ts';
import { followHolds, type RequestHoldChange } from '../operations/follow-holds.ts';
import { exclusiveKinds, operationDefinitions } from '../operations/registry.ts';
import { type Repeating, repeatEvery } from '../processes/repeat.ts';
import type { Queue } from '../queue/queue.ts';

export interface HoldsDeps {
  database: Database;
  queue: Queue;
  log: Log;
  /** How a change is requested; default: it is queued at once. */
  request?: RequestHoldChange;
}

const LOOK_SECONDS = 10;

/**
 * Regularly brings agents in line with their holds. It finds what no other caller of `followHolds` has done:
 * changes that failed and are due again, and suspensions that had to wait.
 */
export function startFollowingHolds(deps: HoldsDeps, lookSeconds = LOOK_SECONDS): Repeating {
  return repeatEvery(lookSeconds, async () => {
    try {
      await followAllHolds(deps);
    } catch (error) {
      const text = 'could not compare the agents with their holds';
      deps.log.warn({ event: 'holds.check_failed', error: errorMessage(error) }, text);
    }
  });
}

/**
 * Follows the holds of every agent that is not in line with them, each in a transaction of its own. Several
 * processes may do this at the same time.
 * @returns the number of operations that it queued
 */
export async function followAllHolds({ database, queue, log, request }: HoldsDeps): Promise<number> {
  let queued = 0;
  for (const agentId of await findOutOfLine(database)) {
    const operation = await database.transaction().execute(async (trx) => {
      await lockAgent(trx, agentId);
      return followHolds(trx, queue, agentId, { actor: 'service', ...(request && { request }) });
    });
    if (operation === undefined) continue;
    queued += 1;
    const { kind, operation_id: operationId } = operation;
    log.info({ event: 'holds.followed', agentId, kind, operationId }, `${kind} of ${agentId} is queued`);
  }
  return queued;
}

/**
 * The agents for which `followHolds` may queue something: the conditions of its `decideChange`, as a set. The
 * pause after a failure is left to it.
 */
async function findOutOfLine(database: Database): Promise<string[]> {
  const starting = operationDefinitions().flatMap(({ kind, runsAgent }) => (runsAgent ? [kind] : []));
  const following = operationDefinitions().flatMap(({ kind, followsHolds }) => (followsHolds ? [kind] : []));
  const { rows } = await sql<{ agentId: string }>`
    with candidates as (
      select agent_id from agents where status in ('suspended', 'hibernated')
      union select agent_id from holds
      union select agent_id from operations
        where kind in ('suspend', 'resume') and status in ('failed', 'cancelled')),
    compared as (
      select a.agent_id, a.status,
        exists (select 1 from holds h where h.agent_id = a.agent_id
          and h.reason = any(${[...STOPPING_REASONS]}::text[])) as is_held,
        (select case when o.status = 'succeeded' then null else o.kind end from operations o
          where o.agent_id = a.agent_id and o.kind = any(${exclusiveKinds()}::text[])
            and o.attempt > 0 and o.finished_at is not null
          order by o.finished_at desc limit 1) as failed
      from agents a join candidates using (agent_id)
      where a.status in ('running', 'stopped', 'suspended', 'hibernated')
        and not exists (select 1 from operations o where o.agent_id = a.agent_id
          and o.status in ('queued', 'active') and o.kind = any(${exclusiveKinds()}::text[])
          and (o.waits_for is null or o.kind = any(${following}::text[]))))
    select agent_id as "agentId" from compared
    where case when is_held
      then status in ('running', 'stopped')
        or (status = 'hibernated' and failed = 'wake')
        or (status = 'suspended' and failed = any(${['suspend', ...starting]}::text[]))
      else status in ('suspended', 'hibernated') or (status = 'running' and failed in ('suspend', 'resume')) end
    order by agent_id`.execute(database);
  return rows.map(({ agentId }) => agentId);
}
