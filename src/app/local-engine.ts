import { createImageParts } from '../images/choice.ts';
import { createProjectParts } from '../operations/project-parts.ts';
import { createRecorders } from '../operations/recorders.ts';
import { createSlotParts } from '../operations/slot-parts.ts';
import { createAgentSnapshots, createLastSnapshots } from '../operations/snapshot-parts.ts';
import { openPulumiState, type PulumiState } from '../pulumi/open-state.ts';
import { createFoundationStore } from '../runbooks/steps/foundation-store.ts';
import { type Engine, openEngine } from './engine.ts';
import type { Remover } from './leftover-slots.ts';
import type { ServiceDeps } from './service-deps.ts';

type Deps = Pick<ServiceDeps, 'config' | 'connections' | 'database' | 'log'>;

/** Opens an engine beside the database. `idle`: engine processes kept ready; default: one for each place. */
export function openLocalEngine(
  { config, connections, database, log }: Deps,
  { state, passphrases, fence }: PulumiState,
  processTags: Record<string, string>,
  idle = config.workerConcurrency,
): Promise<Engine> {
  return openEngine({
    config,
    connections,
    processTags,
    log,
    state,
    passphrases,
    foundations: createFoundationStore(database, fence, connections.pulumi.secrets.url),
    planServers: config.billing.plans.servers,
    joinSeconds: config.joinSeconds,
    ...createRecorders(database),
    snapshots: {
      lastSnapshots: createLastSnapshots(database, config.snapshots),
      agentSnapshots: createAgentSnapshots(database),
    },
    images: createImageParts(database),
    projects: createProjectParts(database),
    slots: (handOver, canReach) => createSlotParts(database, handOver, canReach),
    idle,
    adopts: true,
    checksOnce: !(config.mode === 'sandbox' && config.sandbox.checksPlaybook === 'always'),
  });
}

/**
 * Opens what removes the slots that an earlier executor has left.
 * @throws Error if this process has no access to the clouds
 */
export async function openRemover(
  deps: Deps & Pick<ServiceDeps, 'queue'>,
  processTags: Record<string, string>,
): Promise<Remover> {
  const { config, connections, database, queue, log } = deps;
  const { missingKeys } = connections;
  if (missingKeys.length > 0)
    throw new Error(`Slots are left, and ${missingKeys.join(', ')} is missing here`);
  const pulumi = await openPulumiState(connections.pulumi.url, log);
  const engine = await openLocalEngine(deps, pulumi, processTags, 1);
  return {
    database,
    queue,
    log,
    parts: engine.parts,
    fence: pulumi.fence,
    leaseSeconds: config.leaseSeconds,
    close: async () => {
      await engine.stop();
      await pulumi.close();
    },
  };
}
