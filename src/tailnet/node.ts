import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createLocalApi, type LocalApi } from './local-api.ts';

/** The controller's node on the tailnet, through which it reaches agents. */
export interface TailnetNode {
  /** Connects to an agent's tailnet address. @throws RetryableError if that fails */
  dial(address: string, port: number, signal: AbortSignal): Promise<Socket>;
  /** Whether the node is on the tailnet now. While it is not, an agent's silence means nothing. */
  isUp(): Promise<boolean>;
  /** OpenSSH's `ProxyCommand`; undefined if the whole host is on the tailnet. */
  proxyCommand: string | undefined;
  stop(): Promise<void>;
}

/** Sockets of a tailscaled that the host itself runs, by system. */
const HOST_SOCKETS = ['/var/run/tailscale/tailscaled.sock', '/var/run/tailscaled.socket'];

/** Finds this host's own node; undefined if the host runs no tailscaled that is logged in. */
export async function findHostNode(
  tailscale: string | undefined,
  sockets = HOST_SOCKETS,
): Promise<TailnetNode | undefined> {
  for (const socket of sockets) {
    const api = createLocalApi(socket);
    const status = await api.status().catch(() => undefined);
    if (status?.BackendState !== 'Running') continue;
    // Without a network interface SSH has to go through tailscaled.
    if (status.TUN !== true && tailscale === undefined) continue;
    return {
      dial: api.dial,
      isUp: () => isRunning(api),
      proxyCommand: status.TUN === true ? undefined : proxyCommand(tailscale!, socket),
      stop: async () => {},
    };
  }
  return undefined;
}

export async function isRunning(api: LocalApi): Promise<boolean> {
  const status = await api.status().catch(() => undefined);
  return status?.BackendState === 'Running';
}

const REACH_AGENT = fileURLToPath(new URL('reach-agent.sh', import.meta.url));

/** Escapes for OpenSSH, which expands `%` tokens and passes the rest to a shell. */
export function proxyCommand(tailscale: string, socket: string): string {
  return ['sh', quote(REACH_AGENT), quote(tailscale), quote(socket), '%h', '%p'].join(' ');
}

function quote(path: string): string {
  const escaped = path.replaceAll('%', '%%');
  return /^[\w./%+:@-]+$/.test(escaped) ? escaped : `'${escaped.replaceAll("'", `'\\''`)}'`;
}
