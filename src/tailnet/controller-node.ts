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
import { findHostPlace, type TailnetPlace } from './node.ts';
import { type OwnPlaceOptions, openOwnPlace } from './own-node.ts';
import { hostSurroundings, type Surroundings, sandboxSurroundings } from './tailscaled-location.ts';

export type PlaceConfig = Pick<Config, 'dataDir' | 'childEnvironment'> & {
  /** The folder is there for this run alone. */
  isTemporary?: boolean;
};

export interface PlaceDeps {
  config: PlaceConfig;
  connections: Pick<Connections, 'machines' | 'networkUrl' | 'tailscale'>;
  /** Marks of this process, for whatever it starts. */
  marks: Record<string, string>;
  log: Log;
}

/**
 * By what this process reaches agents: the host's own tailscaled in live mode, else one that this process runs. Undefined where machines are simulated,
 * and where there is neither: then agents are reached as the host reaches addresses, if it does.
 */
export async function openControllerPlace(deps: PlaceDeps): Promise<TailnetPlace | undefined> {
  const { config, connections, log } = deps;
  if (connections.machines === 'simulated') return undefined;
  const { networkUrl } = connections;
  if (networkUrl !== undefined) return openClaimedPlace(deps, () => sandboxSurroundings(networkUrl));
  const here = hostSurroundings(config.childEnvironment.PATH, connections.tailscale.loginServer);
  const host = await findHostPlace(here?.tailscale);
  if (host !== undefined || here !== undefined) return host ?? openClaimedPlace(deps, async () => here!);
  const text =
    'no tailscaled runs here and none is installed: agents can be reached only if this host routes to the tailnet';
  log.warn({ event: 'tailnet.none' }, text);
  return undefined;
}

/** Processes of one DATA_DIR take numbered places, the lowest free one first, so that each start finds a device that exists already. */
async function openClaimedPlace(
  { config, connections, marks, log }: PlaceDeps,
  surroundings: () => Promise<Surroundings>,
): Promise<TailnetPlace> {
  const { isTemporary = false } = config;
  const { stateDir, number, release } = claimStateDir(config.dataDir);
  const tailscale = createTailscaleClient(connections.tailscale);
  const options: OwnPlaceOptions = {
    surroundings,
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
    environment: { ...config.childEnvironment, ...marks },
    log,
  };
  try {
    const place = await openOwnPlace(options);
    return {
      ...place,
      stop: async () => {
        await place.stop();
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
 * Which device the place was when it was last on the tailnet; kept apart from tailscaled's state, which may
 * be lost or given up.
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

function claimStateDir(dataDir: string): { stateDir: string; number: number; release: () => void } {
  for (let number = 1; ; number++) {
    const stateDir = join(tailnetDir(dataDir), String(number));
    const claim = claimFolder(join(stateDir, 'claim'));
    if (claim.owner === null) return { stateDir, number, release: claim.release };
  }
}

/** The same after every start, and no other's: nobody else on this host has this folder. */
function controllerName(dataDir: string, number: number): string {
  const hash = createHash('sha256').update(`${hostname()}\0${dataDir}`).digest('hex');
  return `controller-${hash.slice(0, 10)}-${number}`;
}

/** A unix socket's address has room for about a hundred bytes. */
const SOCKET_PATH_BYTES = 100;
const SOCKET_NAME = 'tailscaled.sock';

/** The socket of the tailscaled whose state is in a folder: in there too, or where that path is too long, in a folder of ours for temporary files. */
export function socketIn(stateDir: string): string {
  const path = join(stateDir, SOCKET_NAME);
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES) return path;
  const name = createHash('sha256').update(stateDir).digest('hex').slice(0, 16);
  const folder = join(tmpdir(), `agent-stacks-${name}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = lstatSync(folder);
  if (uid !== process.getuid?.() || (mode & 0o777) !== 0o700)
    throw new Error(`${folder} is not a private folder of ours: is somebody else using its name?`);
  return join(folder, SOCKET_NAME);
}
