import { z } from 'zod';

/**
 * What a cloud or a runner reports about an agent's server. These values end up in command lines, URLs and
 * pages, so each is validated strictly. The columns enforce the same rules (migration 0007).
 */

/** Hetzner's ids of servers and snapshots are numbers, stored as text. */
export const serverIdSchema = z.string().regex(/^[0-9]{1,19}$/, 'is not a server id');
export const addressSchema = z.union([z.ipv4(), z.ipv6()], { error: 'is not an address' });
/** Letters, digits, hyphens and dots, as in DNS; never a leading hyphen. */
const hostNameSchema = z
  .string()
  .max(253, 'is longer than a host name')
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, 'is not a host name');

/** The outputs of an agent's stack. */
export const stackOutputsSchema = z.object({
  serverId: serverIdSchema,
  serverName: hostNameSchema,
  ipv4: z.ipv4('is not an IPv4 address'),
  ipv6: z.ipv6('is not an IPv6 address').nullable(),
  tailnetIp: addressSchema,
  tailnetName: hostNameSchema,
});
export type StackOutputs = z.infer<typeof stackOutputsSchema>;
