import { sql } from 'kysely';
import type { Database } from '../database/connect.ts';

const WHY = 'Its agent is being destroyed';

/**
 * Ends the restore drill with a snapshot of this agent, whose server the workers then delete. One that a
 * worker has in hand at the moment is ended by a later call.
 * @returns the drill's id until its server is gone; undefined if there is none
 */
export async function endDrill(database: Database, agentId: string): Promise<string | undefined> {
  // One that has ended without its server: that is looked for now, not in a minute.
  await sql`
    update snapshot_drills set removal_due_at = now()
    where drill_id in (select drill_id from snapshot_drills
      where agent_id = ${agentId} and removal_due_at > now() for update skip locked)`.execute(database);
  await sql`
    update snapshot_drills set passed = false, cancelled = true, error = ${WHY}
    where drill_id in (select drill_id from snapshot_drills
      where agent_id = ${agentId} and status = 'running' and passed is null for update skip locked)`.execute(
    database,
  );
  const { rows } = await sql<{ drillId: string }>`
    select drill_id as "drillId" from snapshot_drills
    where agent_id = ${agentId} and (status = 'running' or removal_due_at is not null) limit 1`.execute(
    database,
  );
  return rows[0]?.drillId;
}
