import { z } from 'zod';

// What single variables of the environment may hold; the texts are what an operator is told.

export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' });
export const postgresUrl = z.url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' });
export const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform(Number)
  .refine((value) => value <= 65_535, 'must be a port number');
export const userId = z
  .string()
  .regex(/^\d{1,10}$/, 'must be the number of a user')
  .transform(Number);
export const hostName = z.string().regex(/^[\w.:-]+$/, 'must be a host name or an address');
export const passphrase = z.string().refine((text) => text.trim() !== '', 'must not be blank');
/** Pulumi takes what it does not know for the address of its own cloud. */
export const backendUrl = z
  .string()
  .regex(
    /^(postgres(ql)?|s3|gs|azblob|file|https):\/\//,
    'must be an address of a Pulumi backend, such as postgres://…',
  );
export const sandboxBackendUrl = z
  .string()
  .regex(/^(postgres(ql)?|file):\/\//, 'must begin with postgres:// or file:// in sandbox mode');
export const webhookSecrets = z
  .string()
  .transform((text) =>
    text
      .split(',')
      .map((secret) => secret.trim())
      .filter(Boolean),
  )
  .refine((secrets) => secrets.length > 0, 'names no secret');
export const concurrency = z.coerce
  .number({ error: 'must be a whole number from 1 to 64' })
  .int('must be a whole number from 1 to 64')
  .min(1, 'must be a whole number from 1 to 64')
  .max(64, 'must be a whole number from 1 to 64');
export const retrySeconds = z.coerce
  .number({ error: 'must be a number of seconds from 1 to 300' })
  .min(1, 'must be a number of seconds from 1 to 300')
  .max(300, 'must be a number of seconds from 1 to 300');
/** Under ten seconds a busy machine misses renewals. Every process of an installation must be given the same. */
export const leaseSeconds = z.coerce
  .number({ error: 'must be a number of seconds from 10 to 300' })
  .min(10, 'must be a number of seconds from 10 to 300')
  .max(300, 'must be a number of seconds from 10 to 300');
export const apiToken = z.string().min(16, 'must have at least 16 characters');
export const hcloudToken = z.string().length(64, 'must be exactly 64 characters long, as Hetzner issues it');
