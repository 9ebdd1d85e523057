import { z } from 'zod';
import { noRoom } from '../operations/project-parts.ts';
import type { ProjectParts } from '../operations/runbook-parts.ts';
import type { Reporter } from './reporter.ts';

const found = z.object({ project: z.string().optional() });
const answered = z.object({ moved: z.boolean() });

/**
 * The Hetzner projects, which the service knows. An agent moves only to one whose token the workflow has
 * handed over. `own`: their names.
 */
export function createRemoteProjects(
  reporter: Pick<Reporter, 'record'>,
  own: readonly string[],
): ProjectParts {
  return {
    markFull: async () => void (await reporter.record({ kind: 'project-full' })),
    findOther: async () => {
      const { project } = found.parse(await reporter.record({ kind: 'project-find' }));
      return project !== undefined && own.includes(project) ? project : undefined;
    },
    move: async ({ agent }, to) => {
      const { moved } = answered.parse(await reporter.record({ kind: 'project-move', to }));
      if (!moved) throw noRoom(agent, to);
    },
  };
}
