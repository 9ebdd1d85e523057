import { sql } from 'kysely';
import type { BreakerName } from '../../src/database/vocabulary.ts';
import { approveBreaker } from '../../src/limits/approve.ts';
import { releaseHeld, type StillWanted } from '../../src/limits/release.ts';
import { type ChangeOutcome, requestChange, requestOrderedAgent } from '../../src/limits/request-change.ts';
import { type OperationsFixture, openOperations } from '../support/operations-fixture.ts';

/** Rows, queue and a clock that the test moves. */
export interface LimitsFixture extends OperationsFixture {
  clock: { now(): Date; advance(minutes: number): void };
}

export async function openLimits(): Promise<LimitsFixture> {
  const operations = await openOperations();
  let now = new Date('2027-01-01T00:00:00Z');
  const clock = {
    now: () => now,
    advance: (minutes: number) => {
      now = new Date(now.getTime() + minutes * 60_000);
    },
  };
  return { ...operations, clock };
}

/** Closes all breakers with the default limits, and removes agents and operations. */
export async function reset(at: LimitsFixture): Promise<void> {
  await at.empty();
  await sql`truncate server_prices, notices cascade`.execute(at.database);
  await sql`update breakers set tripped_at = null, cause = null, approved_at = null, limit_euros = null,
    limit_count = case name when 'creates' then 60 when 'destroys' then 5 end`.execute(at.database);
}

/** Agents a1, a2, … with a server each. */
export async function addRunning({ database }: LimitsFixture, count: number): Promise<string[]> {
  await sql`insert into agents (agent_id, user_id, region, location, plan, status, server_id, tailnet_ip, inputs)
    select 'a' || n, 'u1', 'eu-central', 'nbg1', 'starter', 'running', n::text,
      '100.64.' || n / 250 || '.' || n % 250, '{"serverType": "cx23"}'
    from generate_series(1, ${count}::int) n`.execute(database);
  return Array.from({ length: count }, (_, n) => `a${n + 1}`);
}

export function change(
  { database, queue, clock }: LimitsFixture,
  agentId: string,
  kind: string,
  parameters?: { plan: string },
): Promise<ChangeOutcome> {
  const request = { agentId, kind, parameters, cause: 'The customer has cancelled.', at: clock.now() };
  return database.transaction().execute((trx) => requestChange(trx, queue, request));
}

/** An order from Stripe. */
export async function buy(at: LimitsFixture, agentId: string): Promise<ChangeOutcome> {
  const { database, queue, clock } = at;
  const stripeEventId = `evt_${agentId}`;
  await sql`insert into stripe_events (id, type, livemode, payload, outcome, created_at)
    values (${stripeEventId}, 't', false, '{}', 'acted', now())`.execute(database);
  const agent = { agentId, userId: 'u1', region: 'eu-central', location: 'nbg1', plan: 'starter' };
  const order = { agent, stripeEventId, actor: 'stripe', at: clock.now() };
  return database.transaction().execute((trx) => requestOrderedAgent(trx, queue, order));
}

export function approve(at: LimitsFixture, name: BreakerName, count?: number): Promise<number> {
  const approval = { name, count, actor: 'operator', at: at.clock.now() };
  return at.database.transaction().execute((trx) => approveBreaker(trx, approval));
}

export const release = (at: LimitsFixture, stillWanted?: StillWanted): Promise<number> =>
  releaseHeld({ ...at, stillWanted });

/** Who holds it; undefined if it went. */
export const heldBy = (outcome: ChangeOutcome): BreakerName | undefined =>
  'heldBy' in outcome ? outcome.heldBy : undefined;

export async function held({ database }: LimitsFixture): Promise<string[]> {
  const rows = await database
    .selectFrom('held_changes')
    .select(['agent_id', 'kind', 'breaker'])
    .orderBy('held_change_id')
    .execute();
  return rows.map(({ agent_id, kind, breaker }) => `${kind} of ${agent_id} by ${breaker}`);
}

export async function isTripped({ database }: LimitsFixture, name: BreakerName): Promise<boolean> {
  const row = await database
    .selectFrom('breakers')
    .select('tripped_at')
    .where('name', '=', name)
    .executeTakeFirstOrThrow();
  return row.tripped_at !== null;
}

export async function countQueued({ database }: LimitsFixture, kind: string): Promise<number> {
  const { count } = await database
    .selectFrom('operations')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('kind', '=', kind)
    .executeTakeFirstOrThrow();
  return count;
}
