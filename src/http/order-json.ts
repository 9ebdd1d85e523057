import { z } from 'zod';

export const orderJson = z
  .object({
    sessionId: z.string(),
    agentId: z.string().nullable(),
    attention: z.string().nullable().meta({ description: 'Why the order has no agent' }),
    subscriptionId: z.string().nullable(),
    customerId: z.string().nullable(),
    stripeEventId: z.string(),
    metadata: z.record(z.string(), z.unknown()),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Order' });

export type OrderJson = z.input<typeof orderJson>;
