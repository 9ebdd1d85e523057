import { z } from 'zod';
import type { AgentOutputs } from './store.ts';

/**
 * What comes back from a cloud or a runner of an agent's server. It ends in command lines, addresses and
 * pages, so each of these is what its name says and nothing else; the columns hold the same rules (migration
 * 0007).
 */

/** Hetzner's ids are numbers, kept as text. */
export const serverIdSchema = z.string().regex(/^[0-9]{1,19}$/, 'is not a server’s id');
export const addressSchema = z.union([z.ipv4(), z.ipv6()], { error: 'is not an address' });
/** Letters, digits, hyphens and dots, as names in DNS; it begins with no hyphen. */
const hostNameSchema = z
  .string()
  .max(253, 'is longer than a host name')
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'is not a host name');

export const agentOutputsSchema = z.object({
  serverId: serverIdSchema,
  serverName: hostNameSchema,
  ipv4: z.ipv4('is not an IPv4 address').nullable(),
  ipv6: z.ipv6('is not an IPv6 address').nullable(),
  tailnetIp: addressSchema,
  tailnetName: hostNameSchema,
  /** Tailscale's `nodeId`. */
  tailnetNodeId: z
    .string()
    .regex(/^[A-Za-z0-9]{1,64}$/, 'is not the id of a device')
    .nullish(),
}) satisfies z.ZodType<AgentOutputs>;
