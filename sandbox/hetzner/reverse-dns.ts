import { BlockList, isIP } from 'node:net';
import { z } from 'zod';
import type { Queryable } from '../database.ts';
import { invalidField } from './errors.ts';
import { hostname } from './input.ts';
import type { PrimaryIpRow } from './servers/store.ts';

/** Which name an address is to resolve to; null: the one that it had at first, which for IPv6 is none. */
export const dnsPtrInput = z.object({
  ip: z.string().refine((ip) => isIP(ip) !== 0, 'is not a valid IP address'),
  dns_ptr: hostname.nullish(),
});

export type DnsPtr = z.output<typeof dnsPtrInput>;

/** The name of an IPv4 address that nobody has given one. */
export function defaultName(ipv4: string): string {
  return `static.${ipv4.split('.').reverse().join('.')}.clients.example`;
}

/**
 * Sets the name of an address that belongs to one of these, which the caller has locked: of an IPv6 network
 * any one within it. 422 where it belongs to none. Not `apply`: it is only checked.
 */
export async function setDnsPtr(
  db: Queryable,
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
  await db.query('UPDATE hetzner_primary_ips SET dns_ptr = $2 WHERE id = $1', [
    owner.id,
    JSON.stringify(entries),
  ]);
}

function contains({ type, ip }: PrimaryIpRow, address: string): boolean {
  if (type === 'ipv4') return ip === address;
  const [network = '', bits] = ip.split('/');
  const list = new BlockList();
  list.addSubnet(network, Number(bits), 'ipv6');
  return isIP(address) === 6 && list.check(address, 'ipv6');
}

/** One address has one text: `2001:DB8:0::1` is `2001:db8::1`. */
function canonical(ip: string): string {
  return isIP(ip) === 6 ? new URL(`http://[${ip}]`).hostname.slice(1, -1) : ip;
}
