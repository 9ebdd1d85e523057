import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { Health } from './states.ts';

export interface HealthCheckTimes {
  /** Time between two checks of a healthy agent; jittered by 10 %. */
  intervalSeconds: number;
  /** Time between checks after an unanswered one, until the agent counts as unhealthy. */
  recheckSeconds: number;
  /** An agent that does not answer for this long is unhealthy. */
  unhealthyAfterSeconds: number;
}

/** An agent whose health check this worker has claimed. */
export interface ClaimedCheck {
  agentId: string;
  tailnetIp: string;
  health: Health;
  /** Whether the last check went unanswered. */
  silent: boolean;
}

/**
 * Claims the agents whose check is due. Only running agents without an active operation are checked. The
 * claim schedules the next check, so only one worker asks each agent; a worker that crashes loses one check.
 */
export async function claimHealthChecks(
  database: Database,
  { intervalSeconds }: HealthCheckTimes,
  limit: number,
): Promise<ClaimedCheck[]> {
  const { rows } = await sql<ClaimedCheck>`
    with due as (
      select a.agent_id from agents a left join health_checks h using (agent_id)
      where a.status = 'running' and a.tailnet_ip is not null and (h.due_at is null or h.due_at <= now())
        and not exists (select 1 from operations o where o.agent_id = a.agent_id and o.status = 'active')
      order by h.due_at nulls first limit ${limit}),
    claimed as (
      insert into health_checks as h (agent_id, due_at)
        select agent_id, now() + make_interval(secs => ${intervalSeconds} * (0.9 + random() * 0.2)) from due
      on conflict (agent_id) do update set due_at = excluded.due_at,
        -- No worker has asked for a while, so nothing proves that the agent was silent.
        silent_since = case when h.due_at > now() - make_interval(secs => ${intervalSeconds}) then h.silent_since end
        where h.due_at <= now()
      returning agent_id, silent_since)
    select agent_id as "agentId", a.tailnet_ip as "tailnetIp", a.health, c.silent_since is not null as silent
    from claimed c join agents a using (agent_id)`.execute(database);
  return rows;
}

/** Records that the agent answered. */
export async function recordAnswer(
  database: Database,
  { agentId, health, silent }: ClaimedCheck,
): Promise<void> {
  if (silent) {
    await database
      .updateTable('health_checks')
      .set({ silent_since: null })
      .where('agent_id', '=', agentId)
      .execute();
  }
  if (health === 'healthy') return;
  await database
    .updateTable('agents')
    .set({ health: 'healthy', updated_at: sql`now()` })
    .where('agent_id', '=', agentId)
    .where('status', '=', 'running')
    .execute();
}

/**
 * Records that the agent has not answered for `elapsedSeconds`. One lost answer proves little, so the agent
 * is checked again soon and becomes unhealthy only if it stays silent.
 * @returns whether it has just become unhealthy
 */
export async function recordSilence(
  database: Database,
  { agentId }: ClaimedCheck,
  elapsedSeconds: number,
  { recheckSeconds, unhealthyAfterSeconds }: HealthCheckTimes,
): Promise<boolean> {
  return database.transaction().execute(async (trx) => {
    const { rows } = await sql<{ since: Date; decided: boolean }>`
      update health_checks set
        silent_since = coalesce(silent_since, now() - make_interval(secs => ${elapsedSeconds})),
        due_at = case
          when silent_since <= now() - make_interval(secs => ${unhealthyAfterSeconds}) then due_at
          else now() + make_interval(secs => ${recheckSeconds}) end
      where agent_id = ${agentId}
      returning silent_since as since,
        silent_since <= now() - make_interval(secs => ${unhealthyAfterSeconds}) as decided`.execute(trx);
    const [silence] = rows;
    if (silence?.decided !== true) return false;
    const { numUpdatedRows } = await trx
      .updateTable('agents')
      .set({ health: 'unhealthy', unhealthy_since: silence.since, updated_at: sql`now()` })
      .where('agent_id', '=', agentId)
      .where('status', '=', 'running')
      .where('health', '<>', 'unhealthy')
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
  });
}
