import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import type { Connections } from '../../connections/connections.ts';
import { createLog } from '../../log.ts';
import { openControllerPlace, socketIn, tailnetDir } from '../../tailnet/controller-node.ts';
import { createLocalApi } from '../../tailnet/local-api.ts';
import { findHostPlace, isRunning, proxyCommand } from '../../tailnet/node.ts';
import { hostSurroundings, sandboxSurroundings } from '../../tailnet/tailscaled-location.ts';
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
  const host = connections.networkUrl === undefined ? await findHostPlace(tailscale) : undefined;
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
  if (networkUrl !== undefined) return (await sandboxSurroundings(networkUrl)).tailscale;
  return hostSurroundings(config.childEnvironment.PATH, tailscale.loginServer)?.tailscale;
}

async function findRunning(dataDir: string): Promise<string | undefined> {
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
  const place = await openControllerPlace({ config, connections, marks: {}, log: createLog('/dev/null') });
  if (place === undefined) return { proxyCommand: undefined, close: async () => {} };
  for (const deadline = Date.now() + JOIN_TIMEOUT_SECONDS * 1000; !(await place.isUp()); await sleep(50)) {
    if (Date.now() < deadline) continue;
    await place.stop();
    throw new CommandError(`This host could not join the tailnet within ${JOIN_TIMEOUT_SECONDS} s`);
  }
  return { proxyCommand: place.proxyCommand, close: place.stop };
}
