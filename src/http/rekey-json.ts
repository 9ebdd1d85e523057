import { z } from 'zod';
import type { RekeyStatus } from '../rekey/status.ts';

const count = z.int().min(0);

/** How far a change of the passphrase is. */
export const rekeyJson = z.object({
  state: z.enum(['none', 'waiting', 'moving', 'done']).meta({
    description:
      'waiting: a process does not have the new passphrase yet. moving: the rest is sealed again. done: PULUMI_CONFIG_PASSPHRASE_BEFORE can be taken out',
  }),
  waitsFor: z.array(z.string()).meta({ description: 'Processes without the new passphrase' }),
  left: z.object({ agents: count, slots: count, images: count, stacks: count.nullable() }).meta({
    description: 'What is still under the former passphrase; stacks: null until a worker has looked',
  }),
  problems: z.array(z.string()).meta({ description: 'What needs a person' }),
});
export type RekeyJson = z.infer<typeof rekeyJson>;

export const presentRekey = (status: RekeyStatus): RekeyJson => status;
