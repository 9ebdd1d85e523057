import { tokenVariable } from '../../config/hetzner-projects.ts';
import type { HetznerProject } from '../../connections/connections.ts';
import { readHoldings } from '../../hetzner/holdings.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const CURE =
  'Create a token in the console of each project (Security → API tokens), one variable each: docs/configuration.md, “Several Hetzner projects”.';

/**
 * Whether each token is that of another project. Hetzner names none, so projects are told apart by what is in
 * them: two that are empty still look alike.
 */
export function projectsProbe(projects: readonly HetznerProject[]): Probe {
  return {
    name: 'hetzner-projects',
    blocks: nothing,
    cure: 'It is checked again by the next doctor.',
    look: async () => {
      if (projects.length === 1) return 'there is one Hetzner project';
      const holdings = await Promise.all(
        projects.map(async (project) => ({ name: project.name, ids: await readHoldings(project) })),
      );
      for (const [index, { name, ids }] of holdings.entries()) {
        const same = holdings.slice(0, index).find((other) => [...other.ids].some((id) => ids.has(id)));
        if (same !== undefined)
          throw new MisconfiguredError(
            `${tokenVariable(same.name)} and ${tokenVariable(name)} are tokens of one Hetzner project: its limit and its quota are counted twice`,
            CURE,
          );
      }
      return `each of ${projects.length} tokens is that of another project`;
    },
  };
}
