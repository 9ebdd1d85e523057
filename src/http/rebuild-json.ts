import { z } from 'zod';

const action = z.enum(['rebuilt', 'corrected', 'resumed', 'known', 'destroyed', 'unclear']).meta({
  description:
    'rebuilt: it had no row; corrected: its row was older than its record; resumed: its provision goes on; known: nothing was changed; destroyed: nothing of it exists; unclear: see `unclear`',
});

export const rebuiltJson = z
  .object({
    applied: z.boolean().meta({ description: 'false: this is what would be done' }),
    agents: z.array(z.object({ agentId: z.string(), status: z.string(), action })),
    slots: z
      .array(z.object({ slotId: z.string(), action: z.enum(['known', 'unclear']) }))
      .meta({ description: 'By their records. One without a row becomes none: it may be an agent’s by now' }),
    snapshots: z.number().meta({ description: 'Snapshots of agents that have their rows again' }),
    orders: z.number().meta({ description: 'Orders that were linked to their agents again' }),
    unclear: z
      .array(z.object({ agentId: z.string().nullable(), cause: z.string(), cure: z.string() }))
      .meta({ description: 'What a person has to decide; also under /api/attention' }),
  })
  .meta({ id: 'Rebuilt' });
