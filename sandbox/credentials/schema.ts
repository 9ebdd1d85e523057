import { z } from 'zod';
import type { Json, SandboxSchema } from '../schema.ts';

// Credentials with fewer permissions than the sandbox's own, as a customer makes them in each vendor's
// console.

/** A token of a Hetzner project. A name that was not used before is a new, empty project. */
const hetznerGrant = z.strictObject({
  vendor: z.literal('hetzner'),
  permission: z.enum(['read', 'write']),
  project: z
    .string()
    .max(40)
    .regex(/^[a-z0-9](-?[a-z0-9])*$/)
    .default('default'),
});

/** An OAuth client of Tailscale. A scope ends in `:read` if it only reads. */
const tailscaleGrant = z.strictObject({
  vendor: z.literal('tailscale'),
  scopes: z.array(z.string().regex(/^[a-z_]+(:[a-z_]+)*$/)).min(1),
  tags: z.array(z.string().regex(/^tag:[a-zA-Z][a-zA-Z0-9-]*$/)).default([]),
});

/**
 * A restricted key of Stripe. `denied` and `readOnly` name resources, as their paths do (`subscriptions`).
 */
const stripeGrant = z.strictObject({
  vendor: z.literal('stripe'),
  denied: z.array(z.string().regex(/^[a-z_]+$/)).default([]),
  readOnly: z.array(z.string().regex(/^[a-z_]+$/)).default([]),
});

export const grantSchema = z.discriminatedUnion('vendor', [hetznerGrant, tailscaleGrant, stripeGrant]);
export type Grant = z.output<typeof grantSchema>;
export type TailscaleGrant = z.output<typeof tailscaleGrant>;
export type StripeGrant = z.output<typeof stripeGrant>;

export interface IssuedCredentialTables {
  issued_credentials: IssuedCredentialTable;
}

export interface IssuedCredentialTable {
  secret_hash: Buffer;
  grants: Json<Grant>;
}

export const issuedCredentialSchema: SandboxSchema = {
  area: 'issued-credentials',
  version: 1,
  statements: [
    'create table if not exists issued_credentials (secret_hash bytea primary key, grants jsonb not null)',
  ],
};
