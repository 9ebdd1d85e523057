import { setTimeout as sleep } from 'node:timers/promises';
import { type RawBuilder, sql } from 'kysely';
import type { Transaction } from '../database/connect.ts';
import { admits, agentsIn } from '../projects/placement.ts';
import { isLive, isPresent } from './demands.ts';

/** Notified with the id of each provision whose agent has claimed a slot: workers hand it over at once. */
export const CLAIMS_CHANNEL = 'slot_claims';

/** A slot that has not answered for this long is given to nobody. */
const FRESH_SECONDS = 20;
/** After a claim what can wait does for so long: more orders may come at the same moment. */
const QUIET_SECONDS = 3;

/** Whether an order has claimed a slot within the last seconds, in SQL. */
export const wasJustClaimed: RawBuilder<boolean> = sql<boolean>`exists (select 1 from slots
  where status = 'claimed' and claimed_at > now() - make_interval(secs => ${QUIET_SECONDS}))`;

/** An order looks so often, so many milliseconds apart, for slots that others have locked. */
const LOOKS = 4;
const LOCKED_MS = 25;

/** An agent that has just been ordered. */
interface Ordered {
  agentId: string;
  location: string;
  plan: string;
}

/**
 * Claims a slot for an agent that has just been ordered, in the order's own transaction: one that fits, that
 * was healthy seconds ago, and that no other order has. The agent is then in the slot's Hetzner project. It
 * does not come into one that has as many agents as it may have servers: another order has taken the place of
 * the slot, which the pool will remove. A check of its health locks a slot for an instant, so one that is
 * locked is looked for again; orders never wait for each other here.
 * @returns whether there was one; an order that found a pool without one is counted as a miss
 */
export async function claimSlot(trx: Transaction, agent: Ordered): Promise<boolean> {
  for (let look = 1; look <= LOOKS; look++) {
    const { isClaimed, isLocked } = await tryToClaim(trx, agent, { isLast: look === LOOKS });
    if (isClaimed || !isLocked) return isClaimed;
    await sleep(LOCKED_MS);
  }
  return false;
}

/** Whether the agent is in slot `s`'s project, or may come into it without passing its number, in SQL. */
const hasPlaceFor = (agentId: string): RawBuilder<boolean> => sql<boolean>`
  s.project in (select p.name from hetzner_projects p
    where case when p.most_servers is null then true else ${agentsIn} < p.most_servers
      or exists (select 1 from agents a where a.agent_id = ${agentId} and a.project = p.name) end)`;

async function tryToClaim(
  trx: Transaction,
  { agentId, location, plan }: Ordered,
  { isLast }: { isLast: boolean },
): Promise<{ isClaimed: boolean; isLocked: boolean }> {
  const { rows } = await sql<{ isClaimed: boolean; isLocked: boolean }>`
    with wanted as materialized (
      select project, fingerprint, max(since) as since,
        case when bool_or(bool_or(${isPresent})) over (partition by project) then bool_or(${isPresent})
          else max(since) = max(max(since)) over (partition by project) end as sells
      from pool_demands
      where project in (select p.name from hetzner_projects p where ${admits(location)})
        and location = ${location} and plan = ${plan} and size > 0 and ${isLive}
      group by project, fingerprint),
    fitting as materialized (
      select s.slot_id, w.since, s.ready_at from slots s join wanted w using (project, fingerprint)
      where w.sells and s.status = 'ready' and s.location = ${location} and s.plan = ${plan}
        and s.checked_at > now() - make_interval(secs => ${FRESH_SECONDS}) and ${hasPlaceFor(agentId)}),
    chosen as materialized (
      select s.slot_id from slots s join fitting f using (slot_id) where s.status = 'ready'
      order by f.since desc, f.ready_at limit 1 for update of s skip locked),
    claimed as (
      update slots s set status = 'claimed', agent_id = ${agentId}, claimed_at = now(), check_at = null,
        updated_at = now()
      from chosen where s.slot_id = chosen.slot_id returning s.slot_id, s.project),
    moved as (
      update agents a set project = c.project from claimed c where a.agent_id = ${agentId} and a.project <> c.project),
    outcome as materialized (
      select exists (select 1 from claimed) as claimed, exists (select 1 from fitting) as fits),
    missed as (
      insert into pool_misses (agent_id, project, location, plan)
      select ${agentId}, pool.project, ${location}, ${plan} from outcome cross join lateral (
        select w.project from wanted w join hetzner_projects p on p.name = w.project
        order by (select a.project = w.project from agents a where a.agent_id = ${agentId}) desc nulls last, p.rank
        limit 1) pool
      where not claimed and (${isLast}::boolean or not fits))
    select claimed as "isClaimed", fits as "isLocked" from outcome`.execute(trx);
  return rows[0]!;
}
