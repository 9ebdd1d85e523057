import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
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
import { type Internet, openInternet } from './internet.ts';
import { createMetadata } from './metadata.ts';
import { startReconciler } from './reconciler.ts';

/** The results of the setup on this host, and the location of the machines' disks. */
export const realMachinesSchema = z.object({
  /** Folder for the disks and the network's files, created with mode 0700 if absent. */
  dir: z.string().min(1),
  /** Root folder of the machines' system. */
  base: z.string().min(1),
  headscale: z.string().min(1),
  tailscale: z.string().min(1),
  tailscaled: z.string().min(1),
  /** PATH of the host's programs. */
  path: z.string().optional(),
});

export type RealMachinesOptions = z.infer<typeof realMachinesSchema>;

/** The machines' network with its control server; no machine runs yet. */
export interface MachinesNetwork {
  control: ControlServer;
  describe(): Network;
  /** Starts booting and reconciling the machines; call it once the services that they need are running. */
  startMachines(): Promise<Record<'machine-boot', DueHandler>>;
  /** Call it after every change of a server or a firewall: the machines follow at once. */
  wake(): void;
  /** Resolves when the network fails; only a restart of the sandbox repairs it. */
  failed: Promise<void>;
  /** Cuts the power of all machines and removes everything but their disks. */
  stop(): Promise<void>;
}

/**
 * Opens the network of an installation's machines, after removing the remains of a killed sandbox.
 * @throws Error if this host does not permit it.
 */
export async function openMachinesNetwork(
  database: SandboxDatabase,
  options: RealMachinesOptions,
): Promise<MachinesNetwork> {
  const { dir, path, tailscale, tailscaled } = options;
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  // Distinguishes installations on one host by their folder of machines.
  const tag = createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12);
  const internet = await openInternet({
    dir: join(dir, 'internet'),
    tag,
    path,
    readMetadata: createMetadata(database),
  });
  // The name of that folder in earlier versions.
  rmSync(join(dir, 'world'), { recursive: true, force: true });
  const stops = [internet.close];
  const stop = async () => {
    for (const each of stops.splice(0)) await each();
  };
  try {
    const headscale = await startControlServer(internet, options);
    stops.unshift(headscale.stop);
    const control = await createHeadscaleControl(headscale);
    await enforceRecordedPolicy(database, control);
    const controller = await internet.attach({ name: 'controller', ipv4: CONTROLLER_ADDRESS });
    let wake = () => {};
    return {
      control,
      describe: () => ({
        machines: 'real',
        loginServer: headscale.loginServer,
        enter: controller.enter,
        gate: internet.gate,
        environment: { ...internet.environment, ...RELAY_OVER_HTTP },
        tailscale,
        tailscaled,
      }),
      startMachines: async () => {
        const reconciler = await startReconciler({ database, internet, tag, dir, base: options.base });
        stops.unshift(reconciler.stop);
        wake = reconciler.wake;
        return { 'machine-boot': async () => reconciler.wake() };
      },
      wake: () => wake(),
      // After a stop, its end is not a failure.
      failed: new Promise((resolve) => void internet.closed.then(() => stops.length > 0 && resolve())),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function startControlServer(internet: Internet, { dir, headscale }: RealMachinesOptions): Promise<Headscale> {
  return startHeadscale({
    run: internet.run,
    dir: join(dir, 'headscale'),
    binary: headscale,
    address: LOGIN_ADDRESS,
    port: CONTROL_PORT,
  });
}
