import { type RawBuilder, sql } from 'kysely';
import { DEFAULT_PROJECT } from '../config/hetzner-projects.ts';
import type { Database } from '../database/connect.ts';
import type { AttentionClass, BreakerName } from '../database/vocabulary.ts';
import { STATE_KEY_UNUSABLE } from '../errors.ts';
import { NOT_BUILT } from '../images/images.ts';
import { CURES } from '../limits/words.ts';
import { CURES_BY_CODE, STATE_KEY_CURE } from '../operations/cures.ts';
import { NOT_HANDED_OVER } from '../slots/failures.ts';

/** Something that needs a person. */
export interface AttentionItem<Class extends AttentionClass = AttentionClass> {
  class: Class;
  since: Date;
  agentId: string | null;
  cause: string;
  /** What to do. */
  cure: string;
}

/** Where the next page begins. `since` in ISO form with microseconds, which a JavaScript date would lose. */
export interface AttentionCursor {
  since: string;
  class: string;
  key: string;
}

/** An item with what orders it among items of the same moment. */
export type AttentionRow<Class extends AttentionClass = AttentionClass> = AttentionItem<Class> & {
  position: AttentionCursor;
};

/** Returns a page of everything that needs a person, or of some classes of it, the newest first. */
export async function listAttention<Class extends AttentionClass = AttentionClass>(
  database: Database,
  {
    after,
    classes,
    limit,
  }: { after?: AttentionCursor | undefined; classes?: readonly Class[]; limit: number },
): Promise<AttentionRow<Class>[]> {
  const { rows } = await sql<AttentionItem<Class> & { key: string; sinceText: string }>`
    select class, since, "agentId", cause, cure, key, 
      to_char(since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as "sinceText" from (${ATTENTION}) items
    where ${after === undefined ? sql`true` : isAfter(after)}
      and ${classes === undefined ? sql`true` : sql`class = any(${classes}::text[])`}
    order by since desc, class, key limit ${limit}`.execute(database);
  return rows.map(({ key, sinceText, ...item }) => ({
    ...item,
    position: { since: sinceText, class: item.class, key },
  }));
}

/** Counts what needs a person. */
export async function countAttention(database: Database): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from (${ATTENTION}) items`.execute(
    database,
  );
  return rows[0]?.count ?? 0;
}

const isAfter = (after: AttentionCursor) =>
  sql`(since < ${after.since}::timestamptz or (since = ${after.since}::timestamptz
    and (class, key) > (${after.class}::text, ${after.key}::text)))`;

const ORDER_CURE =
  'Find the order by its session id in Stripe. If it is for an agent that exists, link that one (npm run agents -- orders link SESSION AGENT). Otherwise create its agent (npm run agents -- create … --order SESSION), or cancel the subscription and refund the payment.';
const FAILED_CURE =
  'Read the log of its last operation (npm run agents -- logs). Retry the operation, or destroy the agent and refund the payment.';
const DESTROYING_CURE =
  'The service tries again by itself, and its server may be billed until then. If the cause stays, mend it and press Retry.';
const UNHEALTHY_CURE =
  'Look at it on its server (npm run agents -- ssh). Press Restart, Reconfigure or, if its data may be lost, Rebuild.';
const SILENT_CURE =
  'The end of its log says what it does. Mend what it waits for: it goes on, or is ended and tried again when its time is over. If it is not to be waited for, press Cancel.';
const SUPPLY_CURE =
  'It is tried again by itself. If it lasts, name other server types or a higher price for the plan in BILLING_PLANS, or refund the payment.';
const ACCESS_CURE =
  'Run the script of its log (npm run agents -- logs) on the server, as root: it lets the service in. If it is not to be adopted, press Cancel. It ends by itself after a day.';
const GIVE_BACK_CURE =
  'It is tried again by itself: mend the cause. If the service will not get into the server any more, press Abandon (npm run agents -- abandon <agent>), which gives up what is left on it. docs/adopting.md says what that leaves.';
const WORKER_CURE =
  'Start one: npm start -- --role worker, or restart the service. The end of its log says why the last one stopped.';
const POOL_CURE =
  'Orders get new servers meanwhile. It is tried again by itself; mend the cause, or set POOL to less.';
const CLAIM_CURE =
  'The orders got new servers. If it goes on, read the log of such a provision (npm run agents -- logs), or set POOL to none.';
const PROPOSAL_CURE =
  'Approve or reject it under Attention on the dashboard. Undecided, it expires after a day.';
const IMAGE_CURE =
  'Mend the cause, and build another (npm run agents -- image build); that removes this one. Without an image, new servers take longer.';
const SNAPSHOT_CURE =
  'The operation’s log says what Hetzner answered. `npm run agents -- snapshot <agent>` makes another one; one that is protected at Hetzner is removed once it is not.';
const DRILL_CURE =
  'Make another snapshot of the agent, then `npm run agents -- snapshots drill <agent>`: docs/snapshots.md.';
const DRILL_SERVER_CURE =
  'Bring the project back into reach (npm run agents -- doctor): the server is then removed within minutes.';
const CANARY_CURE =
  'Read the log of its last operation (npm run agents -- logs), mend the cause, and try another: npm run agents -- canary --max-cost 0.05.';
const BACKUP_CURE =
  'It is tried again every quarter of an hour. Mend the cause, and make one at once: npm run agents -- backup.';
const AUDIT_CURE =
  'The log of the workers says why (audit.seal_failed), and `npm run agents -- audit verify` what is wrong: docs/operating.md.';
const RECOVERY_CURE =
  'Restore the newest backup (npm run agents -- restore), then rebuild the rest: npm run agents -- rebuild-state. Without a backup the second alone. Where only GitHub’s runners have the keys: docs/github-actions.md.';
const CONFIGURATION_CURE = 'See the configuration of the workers.';

/** An operation under way that says nothing; its id follows in the item's key. */
export const SILENT = 'silent ';
/**
 * Each task of Ansible, resource and step is an event, so five minutes without one are not normal. A snapshot
 * of a large disk takes longer, and a runner in a GitHub job tells only its steps.
 */
const SILENT_MINUTES = sql`case when o.kind in ('hibernate', 'wake') then 60 when o.executor = 'local' then 5 else 15 end`;

/** Whether the server of agent `a` is its owner's, so that it is given back rather than deleted. */
const isGivenBack = sql`exists (select 1 from adoptions d where d.agent_id = a.agent_id and d.status = 'pending')`;

/** Each source: its class, since when, a key that is unique within the class, cause and cure. */
const SOURCES: readonly RawBuilder<unknown>[] = [
  sql`select 'order'::text as class, created_at as since, agent_id as "agentId", session_id as key,
      'Order ' || session_id || ' was paid and has no agent: ' || attention as cause,
      ${sql.lit(ORDER_CURE)} as cure
    from orders where attention is not null`,
  sql`select 'failed', coalesce(o.finished_at, a.updated_at), a.agent_id, a.agent_id,
      coalesce(a.error, 'It has failed.') || case when a.rollback_error is null then ''
        when ${isGivenBack} then ' The server could not be given back whole yet: ' || a.rollback_error
        else ' Some of its resources could not be removed and may be billed: ' || a.rollback_error end,
      case when ${isGivenBack} and a.rollback_error is not null then ${sql.lit(GIVE_BACK_CURE)} else ${failureCure()} end
    from agents a left join lateral (select finished_at, failure_code from operations o
      where o.agent_id = a.agent_id and o.status = 'failed' order by o.sequence desc limit 1) o on true
    where a.status = 'failed'`,
  sql`select 'failed', a.updated_at, a.agent_id, a.agent_id,
      'Its destroy has not succeeded yet: ' || a.error,
      case when ${isGivenBack} then ${sql.lit(GIVE_BACK_CURE)} else ${sql.lit(DESTROYING_CURE)} end
    from agents a where a.status = 'destroying' and a.error is not null`,
  sql`select 'unhealthy', unhealthy_since, agent_id, agent_id, coalesce(error, 'It does not answer.'),
      ${sql.lit(UNHEALTHY_CURE)}
    from agents where unhealthy_since is not null and status not in ('failed', 'destroying', 'destroyed')`,
  sql`select 'unhealthy', last.at, o.agent_id, ${sql.lit(SILENT)} || o.operation_id,
      'Its ' || o.kind || ' is under way and says nothing any more, in the step ' || coalesce(o.step, 'queued') || '.',
      ${sql.lit(SILENT_CURE)}
    from operations o, lateral (select at from operation_events e where e.operation_id = o.operation_id
      order by sequence desc limit 1) last
    where o.status = 'active' and last.at < now() - make_interval(mins => ${SILENT_MINUTES})`,
  sql`select 'breaker', tripped_at, null, name,
      cause || ' ' || (select count(*) from held_changes h where h.breaker = breakers.name)
        || ' changes wait, and a person has approved '
        || (select count(approved_at) from held_changes h where h.breaker = breakers.name) || ' of them.',
      ${breakerCure()}
    from breakers where tripped_at is not null`,
  // The checks of workers that no longer run say nothing.
  sql`select 'configuration', min(c.since), null, c.name, min(c.detail),
      coalesce(min(c.cure), ${sql.lit(CONFIGURATION_CURE)})
    from checks c join workers w using (worker_id)
    where not c.ok and w.seen_at > now() - interval '10 seconds' group by c.name`,
  sql`select 'configuration', min(run_after), null, 'workers',
      count(*) || case when count(*) = 1 then ' operation waits' else ' operations wait' end ||
        ', and no worker runs: ' || coalesce('the last one was seen at ' ||
        to_char((select max(seen_at) from workers) at time zone 'UTC', 'YYYY-MM-DD HH24:MI') || ' UTC.', 'none was ever seen.'),
      ${sql.lit(WORKER_CURE)}
    from operations where status = 'queued' and run_after < now() - interval '1 minute'
      and dispatched_at is null and waits_for is null
      and not exists (select 1 from workers where seen_at > now() - interval '10 seconds')
    having count(*) > 0`,
  // What only waits for the configuration is due all the time, and the configuration is an item of its own.
  sql`select 'order', created_at, agent_id, operation_id::text, 'Its ' || kind || ' waits: ' || waits_for,
      case when failure_code = ${sql.lit(STATE_KEY_UNUSABLE)} then ${sql.lit(STATE_KEY_CURE)}
        when kind in ('rollback', 'destroy') then ${sql.lit(GIVE_BACK_CURE)} else ${sql.lit(SUPPLY_CURE)} end
    from operations where waits_for is not null and kind <> 'adopt-server' and run_after > now() - interval '30 seconds'
      and created_at < now() - interval '10 minutes'`,
  // Each attempt looks for a minute, and waits for no longer than five.
  sql`select 'order', created_at, agent_id, operation_id::text,
      'Its adoption waits' || coalesce(': ' || waits_for, ' until its owner lets the service in.'), ${sql.lit(ACCESS_CURE)}
    from operations where kind = 'adopt-server' and created_at < now() - interval '1 hour'
      and (waits_for is not null or (status = 'active' and step = 'awaiting_access'))`,
  // A pause for a full Hetzner project says no time of its own.
  sql`select 'configuration', coalesce(error_since, paused_until - interval '15 minutes', seen_at), null,
      'pool ' || project || ' ' || location || ' ' || plan,
      'No server is made to wait in ' || location || case when project = ${sql.lit(DEFAULT_PROJECT)} then ''
        else ' in the Hetzner project ' || project end || ' for plan ' || plan || ': ' || error, ${sql.lit(POOL_CURE)}
    from pools where size > 0 and error is not null`,
  sql`select 'configuration', min(failed_at), null, 'claims ' || location || ' ' || plan,
      count(*) || case when count(*) = 1 then ' server' else ' servers' end || ' in ' || location || ' for plan ' ||
        plan || ' could not be handed over within the last hour. The last one: ' ||
        (array_agg(error order by failed_at desc))[1],
      ${sql.lit(CLAIM_CURE)}
    from slots where failure_code = ${sql.lit(NOT_HANDED_OVER)} and failed_at > now() - interval '1 hour'
    group by location, plan`,
  sql`select 'proposal', proposed_at, agent_id, proposal_id::text,
      proposed_by || ' proposes to ' || kind || ' it: ' || reason, ${sql.lit(PROPOSAL_CURE)}
    from proposals where decision is null and expires_at > now()`,
  sql`select 'configuration', updated_at, null, 'image ' || image_id,
      case when status = 'bad' then 'Servers are made from the ordinary image again, because ' || image_id || ' is bad: '
        else 'The image ' || image_id || ' could not be built: ' end || error, ${sql.lit(IMAGE_CURE)}
    from images i where status = 'bad' or (failure_code = ${sql.lit(NOT_BUILT)} and not exists (
      select 1 from images n where n.created_at > i.created_at and n.status in ('building', 'available')))`,
  sql`select 'mismatch', s.made_at, s.agent_id, 'snapshot ' || s.snapshot_id,
      case when s.status = 'lost' then s.error || '.' when s.status = 'removing' and s.tries > 0
        then 'A snapshot of ' || s.agent_id || ' is still billed. ' || s.error
        else 'No snapshot of ' || s.agent_id || ' could be made: ' || s.error end, ${sql.lit(SNAPSHOT_CURE)}
    from agent_snapshots s join agents a using (agent_id)
    where s.error is not null and ((s.status = 'removing' and s.tries > 0) or (a.status <> 'destroyed'
      and s.ended_at > now() - interval '30 days' and not exists (select 1 from agent_snapshots n
        where n.agent_id = s.agent_id and n.status = 'available' and n.made_at > s.made_at)))`,
  sql`select 'mismatch', finished_at, agent_id, drill_id,
      'The last restore drill, with a snapshot of ' || agent_id || ', failed: ' || error, ${sql.lit(DRILL_CURE)}
    from snapshot_drills where status = 'failed'
      and finished_at = (select max(finished_at) from snapshot_drills where status <> 'cancelled')`,
  sql`select 'mismatch', finished_at, agent_id, 'server of ' || drill_id, 'The server ' || drill_id ||
      ' of a restore drill in the Hetzner project ' || project || ' could not be removed yet, and may be billed.',
      ${sql.lit(DRILL_SERVER_CURE)}
    from snapshot_drills join agents using (agent_id) where removal_due_at is not null`,
  sql`select 'configuration', finished_at, null, 'canary', 'The last canary, ' || agent_id || ', failed: ' || error,
      ${sql.lit(CANARY_CURE)}
    from canary_runs where status = 'failed'
      and finished_at = (select max(finished_at) from canary_runs where status in ('succeeded', 'failed'))`,
  sql`select 'configuration', created_at, null, 'lost state',
      'This database is new, and the Hetzner project has servers that an earlier one has made. Nothing is made or removed, and orders are not accepted, until they are known again.',
      ${sql.lit(RECOVERY_CURE)}
    from installation where recovery = 'needed'`,
  // Sealed within seconds, unless the chain is damaged.
  sql`select 'configuration', min(at), null, 'audit', 'The audit log has not been sealed for ten minutes.',
      ${sql.lit(AUDIT_CURE)}
    from audit_log where not sealed and at < now() - interval '10 minutes'
      and exists (select 1 from workers where seen_at > now() - interval '10 seconds')
    having count(*) > 0`,
  sql`select 'configuration', b.started_at, null, 'backup', 'The last backup failed: ' || b.error, ${sql.lit(BACKUP_CURE)}
    from backups b where b.error is not null and not exists (
      select 1 from backups l where l.backup_id > b.backup_id and (l.error is not null or l.location is not null))`,
  sql`select class, since, agent_id, md5(source || ' ' || key), cause, cure from findings`,
];

/** All of it: class, since, agentId, key, cause, cure. */
export const ATTENTION = sql`${sql.join(SOURCES, sql` union all `)}`;

function failureCure(): RawBuilder<string> {
  const cases = Object.entries(CURES_BY_CODE).map(
    ([code, cure]) => sql`when ${sql.lit(code)} then ${sql.lit(cure)}`,
  );
  return sql`case o.failure_code ${sql.join(cases, sql` `)} else ${sql.lit(FAILED_CURE)} end`;
}

function breakerCure(): RawBuilder<string> {
  const cases = (Object.keys(CURES) as BreakerName[]).map(
    (name) => sql`when ${sql.lit(name)} then ${sql.lit(CURES[name])}`,
  );
  return sql`case name ${sql.join(cases, sql` `)} end`;
}
