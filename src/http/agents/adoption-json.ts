import { z } from 'zod';

const sentences = z.array(z.string());

export const adoptionJson = z
  .object({
    agentId: z.string(),
    project: z.string().meta({ description: 'The Hetzner project of the server' }),
    region: z.string(),
    location: z.string(),
    plan: z.string(),
    server: z.object({
      serverId: z.string(),
      name: z.string(),
      serverType: z.string(),
      location: z.string(),
      system: z
        .string()
        .nullable()
        .meta({ description: 'What its disk was made from, if Hetzner still tells' }),
      ipv4: z.string().nullable(),
    }),
    refusals: sentences.meta({ description: 'Why it cannot be adopted; empty: it can' }),
    imports: sentences.meta({ description: 'What becomes part of the agent’s stack' }),
    changes: sentences.meta({ description: 'What is different on the server afterwards' }),
    never: sentences.meta({ description: 'What no adoption does' }),
    operationId: z
      .string()
      .nullable()
      .meta({ description: 'What does it; null: this is what would be done' }),
    accessScript: z.string().nullable().meta({
      description:
        'What its owner runs on the server, as root, so that the service may log in. It has no secret in it; null with a mere plan',
    }),
  })
  .meta({ id: 'Adoption' });
