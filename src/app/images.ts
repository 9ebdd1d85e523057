import { startImageKeeper } from '../images/keeper.ts';
import type { Fence } from '../pulumi/fence.ts';
import type { Engine } from './engine.ts';
import type { ServiceDeps } from './service-deps.ts';

/** Builds and removes images. */
export function startImages(
  { config, connections, database, log }: ServiceDeps,
  { engine, fence, workerId }: { engine: Engine; fence: Fence; workerId: string },
): { stop(): Promise<void> } {
  return startImageKeeper({
    database,
    log,
    workerId,
    fence,
    parts: engine.parts,
    leaseSeconds: config.leaseSeconds,
    switchesItselfOff: connections.machines !== 'simulated',
  });
}
