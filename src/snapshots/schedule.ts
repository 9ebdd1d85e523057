import { sql } from 'kysely';
import type { SnapshotPolicy } from '../config/snapshots.ts';
import type { Database, Transaction } from '../database/connect.ts';
import { jsonText } from '../database/storable.ts';
import { queueAllByService } from '../operations/consequences.ts';

/** The policy as a table `rules (plan, every_seconds, keep)`. */
export const rulesTable = (policy: SnapshotPolicy) => {
  const rows = Object.entries(policy).map(([plan, { everyMs, keep }]) => ({
    plan,
    every_seconds: everyMs === undefined ? null : everyMs / 1000,
    keep,
  }));
  return sql`jsonb_to_recordset(${jsonText(rows)}::jsonb)
    as rules (plan text, every_seconds float8, keep int)`;
};

export const isScheduled = (policy: SnapshotPolicy): boolean =>
  Object.values(policy).some(({ everyMs }) => everyMs !== undefined);

/** After a failure, or the loss of one, an agent comes again after this share of its pause. */
const AGAIN_SHARE = 0.1;

/**
 * Queues the snapshots that are due, the longest overdue first: as many at a time as there are workers, each
 * of which runs one beside its other work. So they spread over the fleet by themselves. An agent on which an
 * operation is unfinished comes later.
 * @returns how many were queued
 */
export async function queueDueSnapshots(database: Database, policy: SnapshotPolicy): Promise<number> {
  if (!isScheduled(policy)) return 0;
  return database.transaction().execute(async (trx) => {
    // Of several workers one decides at a time.
    await sql`select pg_advisory_xact_lock(hashtext('agent snapshots'))`.execute(trx);
    const due = await findDue(trx, policy);
    await queueAllByService(trx, due, 'snapshot', {
      cause: 'it is due',
      parameters: { why: 'scheduled' },
    });
    return due.length;
  });
}

async function findDue(trx: Transaction, policy: SnapshotPolicy): Promise<string[]> {
  const { rows } = await sql<{ agentId: string }>`
    with room as (select greatest(1, (select count(*) from workers where seen_at > now() - interval '1 minute'))
        - (select count(*) from operations where kind = 'snapshot' and status in ('queued', 'active')) as left),
    due as (select a.agent_id, coalesce(s.made_at, a.created_at) as since, rules.every_seconds
      from agents a join ${rulesTable(policy)} on rules.plan = a.plan
      left join lateral (select max(made_at) as made_at from agent_snapshots s
        where s.agent_id = a.agent_id and s.status = 'available') s on true
      where rules.every_seconds is not null and a.status in ('running', 'stopped') and a.server_id is not null
        and not exists (select from operations o where o.agent_id = a.agent_id and o.status in ('queued', 'active'))
        and not exists (select from operations o where o.agent_id = a.agent_id and o.kind = 'snapshot'
          and o.status <> 'succeeded'
          and o.created_at > now() - make_interval(secs => rules.every_seconds * ${AGAIN_SHARE}))
        and not exists (select from agent_snapshots l where l.agent_id = a.agent_id and l.status = 'lost'
          and l.ended_at > now() - make_interval(secs => rules.every_seconds * ${AGAIN_SHARE})))
    select a.agent_id as "agentId" from due join agents a using (agent_id)
    where due.since < business_now() - make_interval(secs => due.every_seconds)
    order by due.since, agent_id limit greatest(0, (select room.left from room))
    for no key update of a skip locked`.execute(trx);
  return rows.map(({ agentId }) => agentId);
}
