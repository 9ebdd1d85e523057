import { DEFAULT_PLAN } from '../agents/plans.ts';
import type { PoolEntry } from '../config/pool.ts';
import { toLocation } from '../config/regions.ts';
import type { Connections } from '../connections/connections.ts';
import { startHandOvers } from '../executors/worker/hand-over-lane.ts';
import { CLAIMS_KEY } from '../operations/events/event-hub.ts';
import { startPoolKeeper } from '../pool/keeper.ts';
import { startOpenPaths } from '../pool/open-paths.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { Engine } from './engine.ts';
import type { ServiceDeps } from './service-deps.ts';
import { DEMO_REGION } from './terminal/demo-order.ts';

/** Keeps the servers that wait for customers, and hands them over. */
export function startPool(
  { config, connections, database, queue, events, log, clock }: ServiceDeps,
  { engine, fence, workerId }: { engine: Engine; fence: Fence; workerId: string },
): { stop(): Promise<void> } {
  const { parts, health, canReach } = engine;
  const { handOver, keepOpen } = engine.handOver;
  const { vault } = parts;
  const { leaseSeconds } = config;
  const pool = { ...config.pool, entries: config.pool.entries ?? defaultEntries(config.mode, connections) };
  const shared = { database, queue, log, workerId, leaseSeconds };
  const keeper = startPoolKeeper({ ...shared, parts, fence, pool, canReach, clock });
  const paths = keepOpen && startOpenPaths({ database, vault, log }, { keepOpen });
  const lane = startHandOvers({
    ...shared,
    vault,
    health,
    handOver,
    canReach,
    subscribe: (wake) => events.subscribe(CLAIMS_KEY, wake),
  });
  return {
    stop: async () => {
      await Promise.all([keeper.stop(), lane.stop(), paths?.stop()]);
    },
  };
}

/**
 * The pool where `POOL` is not set: none in live mode, where a server costs money, and none on simulated
 * machines, which are there at once. On the sandbox's real machines one server, where the demo's order was
 * placed, so that the next order there shows how fast a claim is.
 */
export function defaultEntries(
  mode: ServiceDeps['config']['mode'],
  { machines }: Pick<Connections, 'machines'>,
): readonly PoolEntry[] {
  if (mode !== 'sandbox' || machines === 'simulated') return [];
  const location = toLocation(DEMO_REGION)!;
  return [{ project: undefined, location, plan: DEFAULT_PLAN, size: 1, hours: undefined }];
}
