import { isIP } from 'node:net';
import { z } from 'zod';

/** An address range as `10.0.0.0/8` or `::/0`. */
const addressRange = z.string().refine(isAddressRange, 'is not a valid CIDR');

const port = z.string().refine(isPortRange, 'is not a port, a range of ports, or any');

const ruleInput = z
  .strictObject({
    description: z.string().max(255).nullish().default(null),
    direction: z.enum(['in', 'out']),
    source_ips: z.array(addressRange).max(100).nullish(),
    destination_ips: z.array(addressRange).max(100).nullish(),
    protocol: z.enum(['tcp', 'udp', 'icmp', 'esp', 'gre']),
    port: port.nullish().default(null),
  })
  .transform((rule) => ({
    ...rule,
    source_ips: rule.source_ips ?? [],
    destination_ips: rule.destination_ips ?? [],
  }))
  .superRefine((rule, context) => {
    const usesPorts = rule.protocol === 'tcp' || rule.protocol === 'udp';
    const ips = rule.direction === 'in' ? 'source_ips' : 'destination_ips';
    if (rule[ips].length === 0) context.addIssue({ code: 'custom', path: [ips], message: 'is missing' });
    if (usesPorts && rule.port === null)
      context.addIssue({ code: 'custom', path: ['port'], message: `is required for ${rule.protocol}` });
    if (!usesPorts && rule.port !== null)
      context.addIssue({ code: 'custom', path: ['port'], message: `does not exist in ${rule.protocol}` });
  });

export const rulesInput = z.array(ruleInput).max(50);
export type FirewallRule = z.infer<typeof ruleInput>;

function isAddressRange(text: string): boolean {
  const [address = '', length = '', ...rest] = text.split('/');
  const version = isIP(address);
  return (
    rest.length === 0 && version !== 0 && /^\d+$/.test(length) && Number(length) <= (version === 4 ? 32 : 128)
  );
}

function isPortRange(text: string): boolean {
  if (text === 'any') return true;
  const ports = text.split('-').map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  const [first = 0, last = first] = ports;
  return ports.length <= 2 && first >= 1 && last <= 65_535 && first <= last;
}
