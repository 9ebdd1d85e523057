import { BlockList, isIP } from 'node:net';
import type { Request } from 'express';
import type { TrustedProxies } from '../../config/fields.ts';
import { loginSchema } from '../../people/names.ts';

const LOOPBACK = toBlockList([
  ['127.0.0.0', 8, 'ipv4'],
  ['::1', 128, 'ipv6'],
]);
/** Where Tailscale's nodes are. */
const TAILNET = toBlockList([
  ['100.64.0.0', 10, 'ipv4'],
  ['fd7a:115c:a1e0::', 48, 'ipv6'],
]);

/**
 * Whom `tailscale serve` says to have sent this request; undefined: nobody, or it is not to be believed. It
 * strips these headers from what comes in, which other proxies do not. So they count only from this machine
 * or a named proxy, and only if that says that the request came over the tailnet and not through the funnel.
 */
export function readTailscaleLogin(
  request: Request,
  trustedProxies: TrustedProxies | undefined,
): string | undefined {
  if (!comesFromServe(request, trustedProxies)) return undefined;
  if (request.get('tailscale-funnel-request') !== undefined) return undefined;
  // A proxy in front appends the address of its own client: only the last one is its word.
  const from = request.get('x-forwarded-for')?.split(',').at(-1)?.trim() ?? '';
  if (!contains(TAILNET, from)) return undefined;
  // Two such headers are joined by a comma, which no login has.
  const login = loginSchema.safeParse(request.get('tailscale-user-login'));
  return login.success ? login.data : undefined;
}

function comesFromServe(request: Request, trustedProxies: TrustedProxies | undefined): boolean {
  const peer = request.socket.remoteAddress ?? '';
  if (contains(LOOPBACK, peer)) return true;
  // A number of proxies, or all of them, names none.
  if (typeof trustedProxies !== 'string') return false;
  const trusts = request.app.get('trust proxy fn') as (address: string, hop: number) => boolean;
  return trusts(peer, 0);
}

type Network = [address: string, prefix: number, family: 'ipv4' | 'ipv6'];

function toBlockList(networks: readonly Network[]): BlockList {
  const list = new BlockList();
  for (const network of networks) list.addSubnet(...network);
  return list;
}

function contains(list: BlockList, text: string): boolean {
  const address = text.replace(/^::ffff:(?=\d+\.)/i, '');
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}
