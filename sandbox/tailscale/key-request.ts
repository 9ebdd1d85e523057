import { z } from 'zod';

const MAX_EXPIRY_SECONDS = 90 * 24 * 3600;

export const tagSchema = z
  .string()
  .regex(/^tag:[a-zA-Z][a-zA-Z0-9-]*$/, 'tags must be of the form "tag:name"');

export const keyRequestSchema = z.object({
  keyType: z.literal('auth', 'the sandbox makes auth keys only').default('auth'),
  description: z
    .string()
    .max(50, 'description must be at most 50 characters')
    .regex(/^[a-zA-Z0-9 -]*$/, 'description must consist of letters, digits, hyphens and spaces')
    .default(''),
  expirySeconds: z
    .number()
    .int()
    .min(0)
    .max(MAX_EXPIRY_SECONDS, 'key expiry must be at most 90 days')
    .nullish()
    .transform((seconds) => seconds || MAX_EXPIRY_SECONDS),
  capabilities: z.object({
    devices: z.object({
      create: z
        .object({
          reusable: z.boolean().default(false),
          ephemeral: z.boolean().default(false),
          preauthorized: z.boolean().default(false),
          tags: z
            .array(tagSchema)
            .nullish()
            .transform((tags) => tags ?? []),
        })
        .prefault({}),
    }),
  }),
});

export type KeyRequest = z.output<typeof keyRequestSchema>;
