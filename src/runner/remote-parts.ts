import type {
  AgentSnapshotParts,
  LastSnapshotParts,
  ProjectParts,
  RecordInputs,
  RecordSnapshot,
  SlotParts,
} from '../operations/runbook-parts.ts';
import type { Claimed } from './claimed.ts';
import type { RunnerConfig } from './config.ts';
import { createRemoteProjects } from './remote-projects.ts';
import { createRemoteSlots } from './remote-slots.ts';
import { createRemoteSnapshots } from './remote-snapshots.ts';
import type { Reporter } from './reporter.ts';

/** What a worker has beside its database, and a runner through the service. */
export interface RemoteParts {
  recordInputs: RecordInputs;
  recordSnapshot: RecordSnapshot;
  snapshots: { lastSnapshots: LastSnapshotParts; agentSnapshots: AgentSnapshotParts };
  slots: () => SlotParts;
  projects?: ProjectParts;
}

export function createRemoteParts(
  { connections }: RunnerConfig,
  { slotId, movesProjects }: Claimed,
  reporter: Reporter,
): RemoteParts {
  const own = connections.hcloud.projects.map(({ name }) => name);
  return {
    recordInputs: async (_run, { inputs, secrets }) =>
      void (await reporter.record({
        kind: 'inputs',
        inputs,
        sealedKeys: secrets.toString('base64'),
      })),
    recordSnapshot: async (_run, snapshotId) =>
      void (await reporter.record({ kind: 'snapshot', snapshotId })),
    snapshots: createRemoteSnapshots(reporter),
    slots: () => createRemoteSlots(slotId),
    ...(movesProjects && { projects: createRemoteProjects(reporter, own) }),
  };
}
