import { z } from 'zod';
import type { AgentSnapshotParts, LastSnapshotParts } from '../operations/runbook-parts.ts';
import type { Reporter } from './reporter.ts';

const last = z.object({
  last: z.object({
    isWanted: z.boolean(),
    keptId: z.string().optional(),
    drillId: z.string().optional(),
  }),
});
const found = z.object({
  snapshot: z
    .object({
      hetznerId: z.string(),
      serverId: z.string().nullable(),
      tailnetNodeId: z.string().nullable(),
    })
    .optional(),
});

/** Agents' snapshots, which the service knows and records. */
export const createRemoteSnapshots = (
  reporter: Pick<Reporter, 'record'>,
): { lastSnapshots: LastSnapshotParts; agentSnapshots: AgentSnapshotParts } => ({
  lastSnapshots: {
    begin: async () => last.parse(await reporter.record({ kind: 'last-snapshot' })).last,
    keep: async (_run, made) => void (await reporter.record({ kind: 'last-snapshot', made })),
    // The answer to the same question, so that a service of an earlier version is understood.
    endDrill: async () => last.parse(await reporter.record({ kind: 'last-snapshot' })).last.drillId,
  },
  agentSnapshots: {
    find: async (_run, snapshotId) =>
      found.parse(await reporter.record({ kind: 'find-snapshot', snapshotId })).snapshot,
  },
});
