import type { Selectable } from 'kysely';
import { audit } from '../agents/audit.ts';
import { type AgentRow, getAgent, lockAgent } from '../agents/store.ts';
import type { Database, Transaction } from '../database/connect.ts';
import type { HeldChangeTable } from '../database/limit-tables.ts';
import { ConflictError } from '../errors.ts';
import { refuseImpossible } from '../operations/requests.ts';
import type { Clock } from '../processes/clock.ts';
import type { Queue } from '../queue/queue.ts';
import type { Change } from './admission.ts';
import { BREAKERS, type BreakerName, type BreakerRow, breakersFor, lockBreakers } from './breakers.ts';
import { queueChange } from './request-change.ts';
import { countChanges, findExcess, isRate } from './room.ts';
import { settleBreaker, trip } from './trip.ts';

type HeldRow = Selectable<HeldChangeTable>;

/** `later`: what is known is outdated, so the change keeps its approval and waits for a fresh answer. */
export type WantedAnswer = boolean | 'later';

/** Whether the decision that wanted a held change still wants it; asked just before it goes. */
export type StillWanted = (agentId: string, kind: string) => WantedAnswer | Promise<WantedAnswer>;

export interface ReleaseDeps {
  database: Database;
  queue: Queue;
  clock: Clock;
  /** Default: yes. */
  stillWanted?: StillWanted | undefined;
}

/**
 * What became of an approved change: it may have to wait for room in its own breaker (`full`), or for another
 * breaker, another operation or a fresh answer (`waits`).
 */
type Outcome = 'released' | 'withdrawn' | 'moved' | 'full' | 'waits';

/**
 * Lets approved changes go at the allowed rate, the oldest first, and closes breakers from which everything
 * has gone. Several processes may do this at once.
 * @returns the number of changes that went
 */
export async function releaseHeld(deps: ReleaseDeps): Promise<number> {
  await withdrawPointless(deps.database);
  let released = 0;
  for (const name of BREAKERS) {
    released += await releaseFrom(deps, name);
    if (await isApproved(deps.database, name))
      await deps.database.transaction().execute(async (trx) => {
        await lockBreakers(trx, [name]);
        await settleBreaker(trx, name, deps.clock.now());
      });
  }
  return released;
}

/** Asked without the lock, for which orders would have to wait. */
async function isApproved(database: Database, name: BreakerName): Promise<boolean> {
  const approved = await database
    .selectFrom('breakers')
    .select('name')
    .where('name', '=', name)
    .where('approved_at', 'is not', null)
    .executeTakeFirst();
  return approved !== undefined;
}

/** Nothing waits for an agent that is being destroyed, by whomever. */
async function withdrawPointless(database: Database): Promise<void> {
  await database
    .deleteFrom('held_changes')
    .where('agent_id', 'in', ({ selectFrom }) =>
      selectFrom('agents').select('agent_id').where('status', 'in', ['destroying', 'destroyed']),
    )
    .execute();
}

async function releaseFrom(deps: ReleaseDeps, name: BreakerName): Promise<number> {
  let released = 0;
  for (let after = 0; ; ) {
    const held = await findApproved(deps.database, name, after);
    if (held === undefined) return released;
    after = held.held_change_id;
    const outcome = await tryRelease(deps, held);
    if (outcome === 'released') released += 1;
    // The others of this breaker would find no room either.
    if (outcome === 'full') return released;
  }
}

function findApproved(database: Database, name: BreakerName, after: number): Promise<HeldRow | undefined> {
  return database
    .selectFrom('held_changes')
    .selectAll()
    .where('breaker', '=', name)
    .where('approved_at', 'is not', null)
    .where('held_change_id', '>', after)
    .orderBy('held_change_id')
    .limit(1)
    .executeTakeFirst();
}

async function tryRelease(deps: ReleaseDeps, held: HeldRow): Promise<Outcome> {
  const { database, clock, stillWanted } = deps;
  // The hook may ask Stripe: not while a transaction holds locks, and not while there is no room anyway.
  const agent = await getAgent(database, held.agent_id);
  const breakers = await database.selectFrom('breakers').selectAll().execute();
  const concerned = breakers.filter(({ name }) => breakersFor(held.kind).includes(name));
  const obstacle = await findObstacle(database, { held, agent, breakers: concerned }, clock.now());
  if (obstacle === 'full' || obstacle === 'waits') return obstacle;
  const isWanted = (await stillWanted?.(held.agent_id, held.kind)) ?? true;
  if (isWanted === 'later') return 'waits';
  return database.transaction().execute((trx) => release(trx, deps, held, isWanted));
}

async function release(
  trx: Transaction,
  { queue, clock }: ReleaseDeps,
  { held_change_id: id, agent_id: agentId, kind }: HeldRow,
  isWanted: boolean,
): Promise<Outcome> {
  const agent = await lockAgent(trx, agentId);
  const breakers = await lockBreakers(trx, breakersFor(kind));
  const held = await lockHeld(trx, id);
  if (held === undefined) return 'withdrawn';
  if (!isWanted) return withdraw(trx, held);
  const at = clock.now();
  const obstacle = await findObstacle(trx, { held, agent, breakers }, at);
  if (obstacle === 'full' || obstacle === 'waits') return obstacle;
  if (obstacle !== undefined) return moveToSpend(trx, held, { cause: obstacle.overspend, at });
  const change = toChange(held);
  const state = await findState(trx, change, agent);
  if (state === 'withdrawn') return withdraw(trx, held);
  if (state === 'waits') return 'waits';
  await queueChange(trx, queue, { change, agent, at });
  await deleteHeld(trx, id);
  return 'released';
}

interface Candidate {
  held: HeldRow;
  agent: AgentRow;
  breakers: BreakerRow[];
}

/**
 * What keeps an approved change: no room in its own breaker's period, another breaker that a person has not
 * approved or that has no room, or costs above the limit that nobody has approved.
 */
async function findObstacle(
  database: Database,
  { held, agent, breakers }: Candidate,
  at: Date,
): Promise<'full' | 'waits' | { overspend: string } | undefined> {
  for (const breaker of breakers) {
    const isOwn = breaker.name === held.breaker;
    if (isRate(breaker)) {
      const isOpen = isOwn || breaker.tripped_at === null || breaker.approved_at !== null;
      const { used, allowed } = await countChanges(database, breaker, at);
      // With a limit of 0, what a person approves goes one at a time.
      if (!isOpen || used >= Math.max(1, allowed)) return isOwn ? 'full' : 'waits';
    } else if (!isOwn) {
      const { kind, parameters } = held;
      const overspend = await findExcess(database, breaker, { kind, parameters, agent }, at);
      if (overspend !== undefined) return { overspend };
    }
  }
  return undefined;
}

async function moveToSpend(
  trx: Transaction,
  held: HeldRow,
  { cause, at }: { cause: string; at: Date },
): Promise<'moved'> {
  const [spend] = await lockBreakers(trx, ['spend']);
  if (spend?.tripped_at === null) await trip(trx, 'spend', { cause, at });
  await trx
    .updateTable('held_changes')
    .set({ breaker: 'spend', approved_at: null })
    .where('held_change_id', '=', held.held_change_id)
    .execute();
  return 'moved';
}

/**
 * A person may have done it meanwhile, or forbidden it: then whoever wanted the change asks again, once it is
 * possible. It only waits for the end of another operation.
 */
async function findState(
  trx: Transaction,
  change: Change,
  agent: AgentRow,
): Promise<'possible' | 'waits' | 'withdrawn'> {
  if (change.kind === 'provision') return agent.status === 'requested' ? 'possible' : 'withdrawn';
  try {
    await refuseImpossible(trx, change);
    return 'possible';
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return (await hasUnfinished(trx, change.agentId)) ? 'waits' : 'withdrawn';
  }
}

async function hasUnfinished(trx: Transaction, agentId: string): Promise<boolean> {
  const row = await trx
    .selectFrom('operations')
    .select('operation_id')
    .where('agent_id', '=', agentId)
    .where('status', 'in', ['queued', 'active'])
    .executeTakeFirst();
  return row !== undefined;
}

async function withdraw(trx: Transaction, held: HeldRow): Promise<'withdrawn'> {
  await deleteHeld(trx, held.held_change_id);
  await audit(trx, {
    actor: 'service',
    action: 'change.withdraw',
    agentId: held.agent_id,
    details: { kind: held.kind, breaker: held.breaker },
  });
  return 'withdrawn';
}

function lockHeld(trx: Transaction, id: number): Promise<HeldRow | undefined> {
  return trx
    .selectFrom('held_changes')
    .selectAll()
    .where('held_change_id', '=', id)
    .where('approved_at', 'is not', null)
    .forUpdate()
    .executeTakeFirst();
}

async function deleteHeld(trx: Transaction, id: number): Promise<void> {
  await trx.deleteFrom('held_changes').where('held_change_id', '=', id).execute();
}

function toChange(held: HeldRow): Change {
  return {
    agentId: held.agent_id,
    kind: held.kind,
    parameters: held.parameters,
    actor: held.actor,
    cause: held.cause,
    stripeEventId: held.stripe_event_id ?? undefined,
  };
}
