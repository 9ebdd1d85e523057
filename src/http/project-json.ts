import { z } from 'zod';
import type { ProjectState } from '../projects/projects.ts';

export const projectJson = z
  .object({
    name: z.string(),
    configured: z.boolean().meta({ description: 'Whether HCLOUD_PROJECTS still names it' }),
    locations: z
      .array(z.string())
      .nullable()
      .meta({ description: 'Where its agents may be; null: everywhere' }),
    mostServers: z.int().nullable().meta({ description: 'How many servers it may have; null: no limit' }),
    drainingSince: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'Nothing new comes into it since then; null: it is not drained' }),
    drainedBy: z.string().nullable(),
    fullUntil: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'Hetzner has refused it a server: until then others come first' }),
    agents: z.int().meta({ description: 'Agents that are not destroyed' }),
    slots: z.int().meta({ description: 'Servers that wait for customers, or are being removed' }),
    images: z.int(),
    snapshots: z.int().meta({ description: 'Snapshots of agents’ disks, those of destroyed agents too' }),
    drills: z.int().meta({ description: 'Restore drills that may still have a server' }),
    servers: z.int().meta({ description: 'What counts towards mostServers' }),
  })
  .meta({ id: 'Project' });

export type ProjectJson = z.input<typeof projectJson>;

export function presentProject({ drainingSince, fullUntil, ...state }: ProjectState): ProjectJson {
  return {
    ...state,
    drainingSince: drainingSince?.toISOString() ?? null,
    fullUntil: fullUntil?.toISOString() ?? null,
  };
}
