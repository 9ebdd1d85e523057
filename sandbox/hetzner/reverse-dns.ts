import { BlockList, isIP } from 'node:net';
import type { Selectable } from 'kysely';
import { z } from 'zod';
import type { SandboxTransaction } from '../database.ts';
import { invalidField } from './errors.ts';
import { hostname } from './input.ts';
import type { PrimaryIpTable } from './tables.ts';

type PrimaryIpRow = Selectable<PrimaryIpTable>;

/** The new name of an address; null restores the default, which only IPv4 addresses have. */
export const dnsPtrInput = z.object({
  ip: z.string().refine((ip) => isIP(ip) !== 0, 'is not a valid IP address'),
  dns_ptr: hostname.nullish(),
});

export type DnsPtr = z.output<typeof dnsPtrInput>;

/** Returns the default name of an IPv4 address. */
export function defaultName(ipv4: string): string {
  return `static.${ipv4.split('.').reverse().join('.')}.clients.example`;
}

/**
 * Sets the name of an address that belongs to one of these locked rows. Any address of an IPv6 network
 * belongs to it. Without `apply` it only checks.
 * @throws HetznerError 422 if the address belongs to none of them.
 */
export async function setDnsPtr(
  trx: SandboxTransaction,
  ips: readonly PrimaryIpRow[],
  { ip, dns_ptr }: DnsPtr,
  apply: boolean,
): Promise<void> {
  const address = canonical(ip);
  const owner = ips.find((row) => contains(row, address));
  if (owner === undefined) throw invalidField('ip', `'${ip}' is not an address of this resource`);
  if (!apply) return;
  const others = owner.dns_ptr.filter((entry) => entry.ip !== address);
  const name = dns_ptr ?? (owner.type === 'ipv4' ? defaultName(address) : undefined);
  const entries = name === undefined ? others : [...others, { ip: address, dns_ptr: name }];
  await trx
    .updateTable('hetzner_primary_ips')
    .set({ dns_ptr: JSON.stringify(entries) })
    .where('id', '=', owner.id)
    .execute();
}

function contains({ type, ip }: PrimaryIpRow, address: string): boolean {
  if (type === 'ipv4') return ip === address;
  const [network = '', bits] = ip.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(bits), 'ipv6');
  return isIP(address) === 6 && list.check(address, 'ipv6');
}

/** Returns the canonical form of an address: `2001:DB8:0::1` becomes `2001:db8::1`. */
function canonical(ip: string): string {
  return isIP(ip) === 6 ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
}
