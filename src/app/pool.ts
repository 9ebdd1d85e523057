import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import { startHandOvers } from '../executors/worker/hand-over-lane.ts';
import { CLAIMS_KEY } from '../operations/events/event-hub.ts';
import { startPoolKeeper } from '../pool/keeper.ts';
import type { Fence } from '../pulumi/fence.ts';
import { createSimulatedHandOver, type HandOver, noHandOver } from '../tailnet/hand-over.ts';
import type { Engine } from './engine.ts';
import type { ServiceDeps } from './service-deps.ts';

/** How servers get their agents; undefined where no way leads to their files. */
export function toHandOver(
  connections: Pick<Connections, 'machines' | 'healthAddress'>,
): HandOver | undefined {
  if (connections.machines === 'simulated') return createSimulatedHandOver(connections.healthAddress);
  return undefined;
}

/** Keeps the servers that wait for customers, and hands them over. */
export function startPool(
  { config, connections, database, queue, events, log, clock }: ServiceDeps,
  { engine, fence, workerId }: { engine: Engine; fence: Fence; workerId: string },
): { stop(): Promise<void> } {
  const handOver = toHandOver(connections);
  const { parts, node, health } = engine;
  const pool = handOver === undefined ? withoutSlots(config, log) : config.pool;
  const { leaseSeconds } = config;
  const canReach = async () => node === undefined || (await node.isUp());
  const shared = { database, log, workerId, leaseSeconds };
  const keeper = startPoolKeeper({ ...shared, parts, fence, pool, canReach, clock });
  const lane = startHandOvers({
    ...shared,
    queue,
    vault: parts.vault,
    health,
    handOver: handOver ?? noHandOver,
    subscribe: (wake) => events.subscribe(CLAIMS_KEY, wake),
  });
  return {
    stop: async () => {
      await Promise.all([keeper.stop(), lane.stop()]);
    },
  };
}

function withoutSlots({ pool }: Config, log: ServiceDeps['log']): Config['pool'] {
  if (pool.entries.length > 0)
    log.warn({ event: 'pool.unavailable' }, 'POOL has no effect: servers cannot be handed over here');
  return { ...pool, entries: [] };
}
