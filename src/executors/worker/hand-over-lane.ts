import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../../database/connect.ts';
import { errorMessage, LostError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { createBatches } from '../../processes/batches.ts';
import { handOver } from '../../runbooks/steps/hand-over.ts';
import type { HealthCheck } from '../../tailnet/agent-health.ts';
import type { HandOver } from '../../tailnet/hand-over.ts';
import { type BeginDeps, type Begun, beginHandOvers, findWaiting } from './begin-hand-overs.ts';
import { type EndDeps, goCold, leaveToOthers, settleHandOvers } from './end-hand-overs.ts';

export interface HandOverDeps extends BeginDeps, EndDeps {
  health: HealthCheck;
  handOver: HandOver;
  /** Whether this process can reach servers at all. While it cannot, no slot is to blame. */
  canReach(): Promise<boolean>;
  /** Tells of provisions whose agents have claimed a slot; undefined: there may be any. */
  subscribe(wake: (operationId: string | undefined) => void): () => void;
}

/** So many hand-overs at once, each of which mostly waits for a server's answer. */
const AT_ONCE = 32;
/** Until one is tried again that somebody else had locked. */
const LOCKED_MS = 50;

/**
 * Hands slots over to the agents that have claimed them, beside the worker's places: no engine runs, and no
 * order waits behind another one's server. What waits at one moment begins in one transaction, and what is
 * done at one moment ends in one. What fails here goes the cold way at once.
 */
export function startHandOvers(deps: HandOverDeps): { stop(): Promise<void> } {
  const waiting = new Set<string>();
  const underWay = new Set<Promise<void>>();
  let beginning: Promise<void> | undefined;
  let stopped = false;
  const ends = createBatches((done: Parameters<typeof settleHandOvers>[1][number][]) =>
    persist(() => settleHandOvers(deps, done)),
  );
  const add = (operationIds: readonly string[]) => {
    for (const operationId of operationIds) waiting.add(operationId);
    next();
  };
  const next = () => {
    const taken = [...waiting].slice(0, AT_ONCE - underWay.size);
    if (stopped || beginning !== undefined || taken.length === 0) return;
    for (const operationId of taken) waiting.delete(operationId);
    beginning = beginHandOvers(deps, taken)
      .then(({ begun, locked }) => {
        for (const one of begun) start(one);
        if (locked.length > 0) setTimeout(() => add(locked), LOCKED_MS).unref();
      })
      .catch((error: unknown) => tell(deps.log, error))
      .finally(() => {
        beginning = undefined;
        next();
      });
  };
  const start = (begun: Begun) => {
    const running = serve(deps, begun, (outputs) => ends.add({ ...begun, outputs })).finally(() => {
      underWay.delete(running);
      next();
    });
    underWay.add(running);
  };
  const look = () =>
    findWaiting(deps.database)
      .then(add)
      .catch((error: unknown) => tell(deps.log, error));
  const unsubscribe = deps.subscribe((operationId) =>
    operationId === undefined ? void look() : add([operationId]),
  );
  void look();
  return {
    stop: async () => {
      stopped = true;
      unsubscribe();
      await beginning;
      await Promise.all(underWay);
    },
  };
}

const tell = (log: Log, error: unknown) =>
  log.warn({ event: 'hand_over.failed', error: errorMessage(error) }, 'could not hand a server over');

/** Hands over one slot. Never throws: what it leaves undone, the worker's places do. */
async function serve(
  deps: HandOverDeps,
  begun: Begun,
  end: (outputs: Begun['slot']['outputs']) => Promise<void>,
): Promise<void> {
  try {
    const { signal } = new AbortController();
    const outputs = await handOver(deps, { ...begun, signal }).catch((error: unknown) => ({ error }));
    if (!('error' in outputs)) return await end(outputs);
    const giveBack = (await deps.canReach()) ? goCold : leaveToOthers;
    await persist(() => giveBack(deps, begun, outputs.error));
  } catch (error) {
    if (!(error instanceof LostError)) tell(deps.log, error);
  }
}

/** Shorter than a lease: after that the next attempt does it. */
const PERSIST_MS = 10_000;

/** Retries a write while the database is unavailable: the customer's server has its agent already. */
async function persist(write: () => Promise<void>): Promise<void> {
  const until = Date.now() + PERSIST_MS;
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
