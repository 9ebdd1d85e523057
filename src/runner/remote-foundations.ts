import { z } from 'zod';
import type { FoundationStore } from '../runbooks/steps/foundation-store.ts';
import type { Reporter } from './reporter.ts';

const found = z.object({ firewallId: z.number().optional() });
const taken = z.object({ taken: z.boolean() });

/** Reads and writes foundations through the service. The holder is always the attempt of this runner. */
export function createRemoteFoundations(reporter: Pick<Reporter, 'record'>): FoundationStore {
  return {
    find: async (inputs) =>
      found.parse(await reporter.record({ kind: 'foundation-find', inputs })).firewallId,
    take: async (_holder, { inputs, stale }) =>
      taken.parse(
        await reporter.record({
          kind: 'foundation-take',
          inputs,
          ...(stale === undefined ? {} : { stale }),
        }),
      ).taken,
    made: async (_holder, { inputs, firewallId }) =>
      void (await reporter.record({ kind: 'foundation-made', inputs, firewallId })),
  };
}
