import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { SandboxDatabase } from '../../database.ts';
import type { DueHandler } from '../../due.ts';
import type { Network } from '../../network.ts';
import type { ControlServer } from '../../tailscale/control-server.ts';
import { createHeadscaleControl } from '../../tailscale/headscale/control.ts';
import { type Headscale, RELAY_OVER_HTTP, startHeadscale } from '../../tailscale/headscale/headscale.ts';
import { enforceRecordedPolicy } from '../../tailscale/policy.ts';
import { CONTROL_PORT, CONTROLLER_ADDRESS, LOGIN_ADDRESS } from './addresses.ts';
import { openWorld, type World } from './internet.ts';
import { startKeeper } from './keeper.ts';
import { createMetadata } from './metadata.ts';

/** What the set-up has prepared on this host, and where machines are to live. */
export const realMachinesSchema = z.object({
  /** Folder for disks and for all that belongs to their network; made with mode 0700 if absent. */
  dir: z.string().min(1),
  /** Root folder of the system that machines start from. */
  base: z.string().min(1),
  headscale: z.string().min(1),
  tailscale: z.string().min(1),
  tailscaled: z.string().min(1),
  /** Where the host's programs are. */
  path: z.string().optional(),
});

export type RealMachinesOptions = z.infer<typeof realMachinesSchema>;

/** The machines' network with its control server; no machine runs yet. */
export interface MachinesNetwork {
  control: ControlServer;
  describe(): Network;
  /** Boots the machines behind the servers and keeps them, once all that they will ask for is there. */
  startMachines(): Promise<Record<'machine-boot', DueHandler>>;
  /** Resolves when the network is gone without having been stopped: only a new start mends that. */
  failed: Promise<void>;
  /** Cuts the power of all machines and leaves nothing but their disks. */
  stop(): Promise<void>;
}

/**
 * Opens the network of an installation's machines, after removing what a killed predecessor has left.
 * Throws where this host does not permit it.
 */
export async function openMachinesNetwork(
  database: SandboxDatabase,
  options: RealMachinesOptions,
): Promise<MachinesNetwork> {
  const { dir, path, tailscale, tailscaled } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Installations on one host are told apart by where their machines live.
  const mark = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12);
  const world = await openWorld({
    dir: join(dir, 'world'),
    mark,
    path,
    readMetadata: createMetadata(database),
  });
  const stops = [world.close];
  const stop = async () => {
    for (const each of stops.splice(0)) await each();
  };
  try {
    const headscale = await startControlServer(world, options);
    stops.unshift(headscale.stop);
    const control = await createHeadscaleControl(headscale.client);
    await enforceRecordedPolicy(database, control);
    const controller = await world.attach({ name: 'controller', ipv4: CONTROLLER_ADDRESS });
    return {
      control,
      describe: () => ({
        machines: 'real',
        loginServer: headscale.loginServer,
        enter: controller.enter,
        environment: { ...world.environment, ...RELAY_OVER_HTTP },
        tailscale,
        tailscaled,
      }),
      startMachines: async () => {
        const keeper = await startKeeper({
          database,
          world,
          mark,
          dir,
          base: options.base,
        });
        stops.unshift(keeper.stop);
        return { 'machine-boot': async () => keeper.look() };
      },
      // Once it has been told to stop, that it is gone is no failure.
      failed: new Promise((resolve) => void world.closed.then(() => stops.length > 0 && resolve())),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startControlServer(world: World, { dir, headscale }: RealMachinesOptions): Promise<Headscale> {
  return startHeadscale({
    run: world.run,
    dir: join(dir, 'headscale'),
    binary: headscale,
    address: LOGIN_ADDRESS,
    port: CONTROL_PORT,
  });
}
