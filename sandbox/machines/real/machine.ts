import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeCgroup } from './cgroups.ts';
import type { World } from './internet.ts';
import { endProcesses, mountSource, onMount, sendToGrandchildren, spawnBound } from './processes.ts';

/** What a machine is booted as. `ipv4` and `ipv6` are its server's public addresses, where it has them. */
export interface MachineSpec {
  serverId: number;
  generation: number;
  /** Counts how often its server was asked to start. */
  boot: number;
  name: string;
  ipv4: string | undefined;
  ipv6: string | undefined;
}

/** How a machine ended: switched off by itself, rebooting by itself, or in another way, such as ours. */
export type Ending = 'off' | 'reboot' | 'broken';

export interface Machine {
  spec: MachineSpec;
  /** Resolves when nothing of it runs any more. */
  ended: Promise<Ending>;
  /** As the power button does: the system stops its services and switches itself off. */
  shutDown(): void;
  /** As pulling the plug does. */
  cutPower(): void;
}

/** systemd-nspawn's own, for a system that asked for a reboot. */
const rebootCode = 133;

/** SIGRTMIN+4 asks systemd to switch off (https://www.freedesktop.org/software/systemd/man/systemd.html#SIGRTMIN+4). */
const poweroffSignal = 38;

export const cgroupPrefix = (mark: string) => `agent-stacks-${mark}-`;

/** The name of the machine's cable in the world, by which its firewall knows it. */
export const linkName = (serverId: number) => `m${serverId}`;

/** Boots a machine on its disk (a folder of `ensureDisk`). */
export function bootMachine(world: World, mark: string, disk: string, spec: MachineSpec): Machine {
  const source = mountSource(mark, spec.serverId);
  const cgroup = `${cgroupPrefix(mark)}${spec.serverId}`;
  const script = fileURLToPath(new URL('boot-machine.sh', import.meta.url));
  const log = openSync(join(disk, 'console.log'), 'a', 0o600);
  const child = spawnBound(['unshare', '--mount', '--net', '--propagation', 'private', '--', 'sh', script], {
    cwd: disk,
    env: {
      ...world.environment,
      WORLD: world.namespace,
      LINK: linkName(spec.serverId),
      IPV4: spec.ipv4 ?? '',
      IPV6: spec.ipv6 ?? '',
      CGROUP: cgroup,
      SOURCE: source,
      MACHINE_NAME: spec.name,
    },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = (async (): Promise<Ending> => {
    const [code] = await once(child, 'exit').catch(() => [null]);
    // The disk is theirs until the last of the machine's processes is gone.
    await endProcesses(onMount(source));
    await removeCgroup(cgroup);
    return code === 0 ? 'off' : code === rebootCode ? 'reboot' : 'broken';
  })();
  return {
    spec,
    ended,
    // To the machine's own systemd: systemd-nspawn would cut the power if it was asked once more.
    shutDown: () => sendToGrandchildren(child.pid, poweroffSignal),
    cutPower: () => child.kill('SIGKILL'),
  };
}
