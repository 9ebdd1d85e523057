import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Vault } from '../../agents/secrets.ts';
import { getAgent } from '../../agents/store.ts';
import { LEASE_SECONDS } from '../../config/timing.ts';
import { type Database, isDatabaseUnavailable, type Transaction } from '../../database/connect.ts';
import { CancelledError, errorMessage, LostError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { beginOperation, type Claim, lockClaim, type OperationRow } from '../../operations/claims.ts';
import { appendEvents, appendQueuedAgain } from '../../operations/events/events.ts';
import { settleLocked, succeedLocked } from '../../operations/settle.ts';
import { beginOnWorker, returnToQueue } from '../../operations/transitions.ts';
import type { Queue } from '../../queue/queue.ts';
import { handOver, type TakenOver, takeFromSlot } from '../../runbooks/steps/hand-over.ts';
import { type ClaimedSlot, findClaimed, giveSlotUp, takeOverSlot } from '../../slots/claim.ts';
import { NOT_HANDED_OVER } from '../../slots/slots.ts';
import type { HealthCheck } from '../../tailnet/agent-health.ts';
import type { HandOver } from '../../tailnet/hand-over.ts';

export interface HandOverDeps {
  database: Database;
  queue: Queue;
  vault: Vault;
  health: HealthCheck;
  handOver: HandOver;
  workerId: string;
  leaseSeconds?: number | undefined;
  log: Log;
  /** Tells of provisions whose agents have claimed a slot; undefined: there may be any. */
  subscribe(wake: (operationId: string | undefined) => void): () => void;
}

/** So many hand-overs at once, each of which mostly waits for a server's answer. */
const AT_ONCE = 16;

/**
 * Hands slots over to the agents that have claimed them, beside the worker's places: no engine runs, and no
 * order waits behind another one's server. What fails here goes the cold way at once.
 */
export function startHandOvers(deps: HandOverDeps): { stop(): Promise<void> } {
  const waiting: string[] = [];
  const underWay = new Set<Promise<void>>();
  let stopped = false;
  const next = () => {
    while (!stopped && underWay.size < AT_ONCE && waiting.length > 0) {
      const running = serve(deps, waiting.shift()!).finally(() => {
        underWay.delete(running);
        next();
      });
      underWay.add(running);
    }
  };
  const look = async () => {
    for (const operationId of await findWaiting(deps.database))
      if (!waiting.includes(operationId)) waiting.push(operationId);
    next();
  };
  const wake = (operationId: string | undefined) => {
    if (operationId === undefined) void look().catch((error: unknown) => tell(deps.log, error));
    else {
      waiting.push(operationId);
      next();
    }
  };
  const unsubscribe = deps.subscribe(wake);
  wake(undefined);
  return {
    stop: async () => {
      stopped = true;
      unsubscribe();
      await Promise.all(underWay);
    },
  };
}

const tell = (log: Log, error: unknown) =>
  log.warn({ event: 'hand_over.failed', error: errorMessage(error) }, 'could not hand a server over');

async function findWaiting(database: Database): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select o.operation_id as id from operations o join slots s on s.agent_id = o.agent_id
    where o.kind = 'provision' and o.status = 'queued' and o.executor = 'local' and s.status = 'claimed'
      and s.served_at is null`.execute(database);
  return rows.map(({ id }) => id);
}

interface Begun {
  claim: Claim;
  agentId: string;
  slot: ClaimedSlot;
  taken: TakenOver;
}

/** Hands over the slot of one provision. Never throws: what it leaves undone, the worker's places do. */
async function serve(deps: HandOverDeps, operationId: string): Promise<void> {
  try {
    const begun = await begin(deps, operationId);
    if (begun === undefined) return;
    const signal = new AbortController().signal;
    const outputs = await handOver(deps, { ...begun, signal }).catch((error: unknown) => ({ error }));
    const write = () =>
      'error' in outputs ? goCold(deps, begun, outputs.error) : settle(deps, begun, outputs);
    await persist(write, Date.now() + PERSIST_MS);
  } catch (error) {
    if (!(error instanceof LostError)) tell(deps.log, error);
  }
}

/** Shorter than a lease: after that the next attempt does it. */
const PERSIST_MS = 10_000;

/** Retries a write while the database is unavailable: the customer's server has its agent already. */
async function persist(write: () => Promise<void>, until: number): Promise<void> {
  for (;;) {
    try {
      await write();
      return;
    } catch (error) {
      if (!isDatabaseUnavailable(error) || Date.now() > until) throw error;
      await sleep(250);
    }
  }
}

/**
 * Claims the operation and makes the slot's inputs and keys the agent's, in one transaction. It sends
 * no events: the end, which follows at once, sends all of them.
 */
async function begin(deps: HandOverDeps, operationId: string): Promise<Begun | undefined> {
  const { database, vault, workerId, leaseSeconds = LEASE_SECONDS } = deps;
  return database.transaction().execute(async (trx) => {
    const queued = await lockQueued(trx, operationId);
    if (queued === undefined) return undefined;
    const { agent_id: agentId } = queued;
    const slot = await findClaimed(trx, agentId);
    if (slot === undefined || slot.isServed) return undefined;
    const row = await beginOnWorker(trx, queued, { workerId, leaseSeconds });
    await beginOperation(trx, row);
    const { attempt } = row;
    const taken = takeFromSlot(vault, await getAgent(trx, agentId), slot);
    await takeOverSlot(trx, agentId, { slotId: slot.slotId, ...taken });
    await appendEvents(
      trx,
      operationId,
      attempt,
      [
        { type: 'status', data: { status: 'active', attempt } },
        { type: 'step', data: { step: 'handing_over' } },
      ],
      { isQuiet: true },
    );
    return { claim: { operationId, attempt, workerId }, agentId, slot, taken };
  });
}

/** Locks the operation with its agent, in the order of all requests; skips one that another worker has. */
function lockQueued(trx: Transaction, operationId: string): Promise<OperationRow | undefined> {
  return trx
    .selectFrom('operations as o')
    .innerJoin('agents as a', 'a.agent_id', 'o.agent_id')
    .selectAll('o')
    .where('o.operation_id', '=', operationId)
    .where('o.kind', '=', 'provision')
    .where('o.status', '=', 'queued')
    .where('o.executor', '=', 'local')
    .forNoKeyUpdate(['o', 'a'])
    .skipLocked()
    .executeTakeFirst();
}

async function settle(
  { database, queue, log }: HandOverDeps,
  { claim, agentId }: Begun,
  outputs: ClaimedSlot['outputs'],
): Promise<void> {
  const { operationId, attempt } = claim;
  await database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    if (row.cancel_requested) {
      await giveSlotUp(trx, agentId, 'the provision of the agent that had claimed it was cancelled');
      await settleLocked(trx, queue, row, { error: new CancelledError('Cancelled'), step: 'handing_over' });
      return;
    }
    await appendEvents(trx, operationId, attempt, [{ type: 'step', data: { step: 'running' } }], {
      isQuiet: true,
    });
    await succeedLocked(trx, queue, row, { kind: 'running', outputs });
  });
  log.info(
    { event: 'slot.served', operationId, agentId, slotServer: outputs.serverId },
    `${agentId} runs on a server that waited`,
  );
}

/** The slot failed its claim: it is removed, and the order gets a server of its own, at once. */
async function goCold({ database, queue, log }: HandOverDeps, begun: Begun, error: unknown): Promise<void> {
  const { claim, agentId, slot } = begun;
  const why = `The server that waited could not be handed over: ${errorMessage(error)}`;
  await database.transaction().execute(async (trx) => {
    const row = await lockClaim(trx, claim);
    await giveSlotUp(trx, agentId, why, NOT_HANDED_OVER);
    if (row.cancel_requested) {
      await settleLocked(trx, queue, row, { error: new CancelledError('Cancelled'), step: 'handing_over' });
      return;
    }
    await returnToQueue(trx, row);
    await appendQueuedAgain(trx, claim, { line: `${why}. Making one` });
    await queue.announce(trx, { operationId: claim.operationId, agentId });
  });
  log.warn({ event: 'slot.failed', agentId, slotId: slot.slotId, error: why }, why);
}
