import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';
import type { Health } from './states.ts';

export interface HealthCheckTimes {
  /** From one check of a healthy agent to the next, more or less: they spread. */
  intervalSeconds: number;
  /** From an unanswered check to the next, while it is not yet decided. */
  recheckSeconds: number;
  /** Silent for so long, an agent is unhealthy. */
  unhealthyAfterSeconds: number;
}

/** An agent that is to be asked now, and by nobody else. */
export interface ClaimedCheck {
  agentId: string;
  tailnetIp: string;
  health: Health;
  /** It did not answer the last time. */
  silent: boolean;
}

/**
 * Takes agents whose check is due. Only those that run and with which nothing is being done at the moment. The claim is the time of the next check, so
 * that of several workers each agent is asked by one; a worker that dies in between costs one check.
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
        -- Nobody has looked for a while: what was not asked was not silent.
        silent_since = case when h.due_at > now() - make_interval(secs => ${intervalSeconds}) then h.silent_since end
        where h.due_at <= now()
      returning agent_id, silent_since)
    select agent_id as "agentId", a.tailnet_ip as "tailnetIp", a.health, c.silent_since is not null as silent
    from claimed c join agents a using (agent_id)`.execute(database);
  return rows;
}

/** It has answered. */
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
 * It has not answered for the last `elapsedSeconds`. One lost answer says little: it is asked again soon, and is unhealthy when it goes on being silent.
 * @returns whether it has become unhealthy by this.
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
