import { z } from 'zod';

export const receiptJson = z
  .object({
    receiptId: z.string(),
    agentId: z.string(),
    kind: z.string().meta({ description: 'The operation: `destroy` or `hibernate`' }),
    body: z.record(z.string(), z.unknown()).meta({
      description:
        'Who the agent was, what was removed, when each cloud said that it is gone, what is kept until when',
    }),
    hash: z.string().meta({ description: 'SHA-256 of the body, as in the audit log' }),
    issuedAt: z.iso.datetime(),
    chain: z
      .object({ auditId: z.int(), position: z.int(), hash: z.string() })
      .nullable()
      .meta({ description: 'The link of the audit chain that holds it; null until it is sealed' }),
  })
  .meta({ id: 'Receipt' });
