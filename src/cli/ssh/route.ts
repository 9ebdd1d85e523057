import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import type { Connections } from '../../connections/connections.ts';
import { createLog } from '../../log.ts';
import { poll } from '../../processes/poll.ts';
import { openControllerNode, socketIn, tailnetDir } from '../../tailnet/controller-node.ts';
import { createLocalApi } from '../../tailnet/local-api.ts';
import { findHostNode, isRunning, proxyCommand } from '../../tailnet/node.ts';
import { locateInSandbox, locateOnHost } from '../../tailnet/tailscaled-location.ts';
import { CommandError } from '../connection.ts';

/** How OpenSSH reaches an agent. */
export interface SshRoute {
  proxyCommand: string | undefined;
  close(): Promise<void>;
}

const JOIN_TIMEOUT_SECONDS = 30;

/**
 * Uses the tailnet node of a running service on this DATA_DIR. Without one, it opens its own node until
 * `close`.
 */
export async function findSshRoute(config: Config, connections: Connections): Promise<SshRoute> {
  const tailscale = await findTailscale(config, connections);
  const host = connections.networkUrl === undefined ? await findHostNode(tailscale) : undefined;
  if (host !== undefined) return { proxyCommand: host.proxyCommand, close: host.stop };
  const socket = await findRunning(config.dataDir);
  if (socket !== undefined && tailscale !== undefined)
    return { proxyCommand: proxyCommand(tailscale, socket), close: async () => {} };
  return openSshRoute(config, connections);
}

async function findTailscale(
  config: Config,
  { networkUrl, tailscale }: Connections,
): Promise<string | undefined> {
  if (networkUrl !== undefined) return (await locateInSandbox(networkUrl)).tailscale;
  return locateOnHost(config.childEnvironment.PATH, tailscale.loginServer)?.tailscale;
}

/** Finds the socket of the tailscaled that a running service has on this folder; undefined if none runs. */
export async function findRunning(dataDir: string): Promise<string | undefined> {
  for (const number of numbersIn(tailnetDir(dataDir))) {
    const socket = socketIn(join(tailnetDir(dataDir), number));
    if (await isRunning(createLocalApi(socket))) return socket;
  }
  return undefined;
}

function numbersIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

async function openSshRoute(config: Config, connections: Connections): Promise<SshRoute> {
  const node = await openControllerNode({
    config,
    connections,
    processTags: {},
    log: createLog('/dev/null'),
  });
  if (node === undefined) return { proxyCommand: undefined, close: async () => {} };
  const ask = async () => (await node.isUp()) || undefined;
  if ((await poll(ask, { intervalMs: 50, timeoutMs: JOIN_TIMEOUT_SECONDS * 1000 })) === undefined) {
    await node.stop();
    throw new CommandError(`This host could not join the tailnet within ${JOIN_TIMEOUT_SECONDS} s`);
  }
  return { proxyCommand: node.proxyCommand, close: node.stop };
}
