import { tokenVariable } from '../../config/hetzner-projects.ts';
import type { HetznerProject } from '../../connections/connections.ts';
import { readHoldings } from '../../hetzner/holdings.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

const CURE =
  'Create a token in the console of each project (Security → API tokens), one variable each: docs/configuration.md, “Several Hetzner projects”.';

/**
 * Whether each token is that of another project. Hetzner names none, so projects are told apart by what is in
 * them: two that are empty still look alike. A token that is refused has a check of its own.
 */
export function projectsProbe(projects: readonly HetznerProject[]): Probe {
  return {
    name: 'hetzner-projects',
    blocks: nothing,
    cure: CURE,
    look: async () => {
      if (projects.length === 1) return 'there is one Hetzner project';
      const answers = await Promise.allSettled(
        projects.map(async (project) => ({ name: project.name, ids: await readHoldings(project) })),
      );
      const holdings = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      for (const [index, { name, ids }] of holdings.entries()) {
        const same = holdings.slice(0, index).find((other) => [...other.ids].some((id) => ids.has(id)));
        if (same !== undefined)
          throw new MisconfiguredError(
            `${tokenVariable(same.name)} and ${tokenVariable(name)} are tokens of one Hetzner project: its limit and its quota are counted twice`,
            CURE,
          );
      }
      return `each of ${holdings.length} tokens is that of another project`;
    },
  };
}
