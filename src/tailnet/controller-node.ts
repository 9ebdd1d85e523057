import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Connections } from '../connections/connections.ts';
import type { Log } from '../log.ts';
import { claimFolder } from '../processes/claims.mjs';
import { makeControllerKey } from '../tailscale/controller-key.ts';
import { createTailscaleClient } from '../tailscale/tailscale.ts';
import { findHostNode, type TailnetNode } from './node.ts';
import { type OwnNodeOptions, openOwnNode } from './own-node.ts';
import { locateInSandbox, locateOnHost, type TailscaledLocation } from './tailscaled-location.ts';

export type NodeConfig = Pick<Config, 'dataDir' | 'childEnvironment'> & {
  /** Whether the folder exists only for this run. */
  isTemporary?: boolean;
};

export interface NodeDeps {
  config: NodeConfig;
  connections: Pick<Connections, 'machines' | 'networkUrl' | 'tailscale'>;
  /** Tags of this process, for all processes that it starts. */
  processTags: Record<string, string>;
  log: Log;
}

/**
 * Opens the node through which this process reaches agents: the host's own tailscaled in live mode, else one
 * that this process runs. Undefined if machines are simulated, or if there is no tailscaled at all: then only
 * the host's routes reach agents.
 */
export async function openControllerNode(deps: NodeDeps): Promise<TailnetNode | undefined> {
  const { config, connections, log } = deps;
  if (connections.machines === 'simulated') return undefined;
  const { networkUrl } = connections;
  if (networkUrl !== undefined) return openClaimedNode(deps, () => locateInSandbox(networkUrl));
  const here = locateOnHost(config.childEnvironment.PATH, connections.tailscale.loginServer);
  const host = await findHostNode(here?.tailscale);
  if (host !== undefined || here !== undefined) return host ?? openClaimedNode(deps, async () => here!);
  const text =
    'no tailscaled runs here and none is installed: agents can be reached only if this host routes to the tailnet';
  log.warn({ event: 'tailnet.none' }, text);
  return undefined;
}

/**
 * Processes of one DATA_DIR take numbered slots, the lowest free one first, so that each start finds an
 * existing device.
 */
async function openClaimedNode(
  { config, connections, processTags, log }: NodeDeps,
  locate: () => Promise<TailscaledLocation>,
): Promise<TailnetNode> {
  const { isTemporary = false } = config;
  const { stateDir, number, release } = claimSlot(config.dataDir);
  const tailscale = createTailscaleClient(connections.tailscale);
  const options: OwnNodeOptions = {
    locate,
    stateDir,
    socket: socketIn(stateDir),
    hostname: controllerName(config.dataDir, number),
    makeKey: (name) =>
      makeControllerKey(tailscale, {
        hostname: name,
        ephemeral: isTemporary,
        formerId: readDevice(stateDir),
      }),
    tellDevice: (deviceId) => writeDevice(stateDir, deviceId),
    isTemporary,
    isKnown: tailscale.hasDevice,
    environment: { ...config.childEnvironment, ...processTags },
    log,
  };
  try {
    const node = await openOwnNode(options);
    return {
      ...node,
      stop: async () => {
        await node.stop();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

const deviceFile = (stateDir: string) => join(stateDir, 'device-id');

/**
 * Reads the id that the node's device had when it was last on the tailnet. It is stored apart from
 * tailscaled's state, which may be lost or deleted.
 */
function readDevice(stateDir: string): string | undefined {
  try {
    return readFileSync(deviceFile(stateDir), 'utf8');
  } catch {
    return undefined;
  }
}

function writeDevice(stateDir: string, deviceId: string): void {
  if (readDevice(stateDir) !== deviceId) writeFileSync(deviceFile(stateDir), deviceId, { mode: 0o600 });
}

export const tailnetDir = (dataDir: string) => join(dataDir, 'tailnet');

function claimSlot(dataDir: string): { stateDir: string; number: number; release: () => void } {
  for (let number = 1; ; number++) {
    const stateDir = join(tailnetDir(dataDir), String(number));
    const claim = claimFolder(join(stateDir, 'claim'));
    if (claim.owner === null) return { stateDir, number, release: claim.release };
  }
}

/** Returns the same name at every start. It is unique: only one installation of this host has this folder. */
function controllerName(dataDir: string, number: number): string {
  const hash = createHash('sha256').update(`${hostname()}\0${dataDir}`).digest('hex');
  return `controller-${hash.slice(0, 10)}-${number}`;
}

/** The path of a unix socket is limited to about a hundred bytes. */
const SOCKET_PATH_BYTES = 100;
const SOCKET_NAME = 'tailscaled.sock';

/**
 * Returns tailscaled's socket: in its state folder, or in a temporary folder of ours if that path is too
 * long.
 */
export function socketIn(stateDir: string): string {
  const path = join(stateDir, SOCKET_NAME);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return path;
  const name = createHash('sha256').update(stateDir).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `agent-stacks-${name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o777) !== 0o700)
    throw new Error(`${folder} is not a private folder of this user: another user may have created it`);
  return join(folder, SOCKET_NAME);
}
