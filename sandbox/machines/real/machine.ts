import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { killFound } from '../../../src/processes/find.ts';
import { removeCgroup } from './cgroups.ts';
import type { Internet } from './internet.ts';
import {
  findMachineProcesses,
  mountSource,
  sendToGrandchildren,
  spawnBound,
  whileFrozen,
} from './processes.ts';

/** The properties of a machine. `ipv4` and `ipv6` are its server's public addresses, if it has them. */
export interface MachineSpec {
  serverId: number;
  generation: number;
  /** Counts the requests to start its server. */
  boot: number;
  name: string;
  ipv4: string | undefined;
  ipv6: string | undefined;
}

/**
 * How a machine ended: it switched itself off, requested a reboot, or ended otherwise (such as a power cut).
 */
export type Ending = 'off' | 'reboot' | 'broken';

export interface Machine {
  spec: MachineSpec;
  /** Resolves when its last process is gone. */
  ended: Promise<Ending>;
  /** Presses the power button: the system stops its services and switches itself off. */
  shutDown(): void;
  /** Pulls the plug. */
  cutPower(): void;
  /** Pauses all its processes while `work` runs. */
  whileFrozen<T>(work: () => Promise<T>): Promise<T>;
}

/** The exit code of systemd-nspawn if its system requested a reboot. */
const REBOOT_CODE = 133;

/**
 * SIGRTMIN+4 asks systemd to switch off
 * (https://www.freedesktop.org/software/systemd/man/systemd.html#SIGRTMIN+4).
 */
const POWEROFF_SIGNAL = 38;

export const cgroupPrefix = (tag: string) => `agent-stacks-${tag}-`;

/** Returns the name of the internet's end of the machine's link, which the firewall rules use. */
export const linkName = (serverId: number) => `m${serverId}`;

/** Boots a machine on its disk (a folder of `ensureDisk`). */
export function bootMachine(internet: Internet, tag: string, disk: string, spec: MachineSpec): Machine {
  const source = mountSource(tag, spec.serverId);
  const cgroup = `${cgroupPrefix(tag)}${spec.serverId}`;
  const script = fileURLToPath(new URL('boot-machine.sh', import.meta.url));
  const log = openSync(join(disk, 'console.log'), 'a', 0o600);
  const child = spawnBound(['unshare', '--mount', '--net', '--propagation', 'private', '--', 'sh', script], {
    cwd: disk,
    env: {
      ...internet.environment,
      INTERNET: internet.namespace,
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
    // The machine's processes may use the disk until all of them are gone.
    await killFound(() => findMachineProcesses(source));
    await removeCgroup(cgroup);
    return code === 0 ? 'off' : code === REBOOT_CODE ? 'reboot' : 'broken';
  })();
  return {
    spec,
    ended,
    // To the machine's own systemd: a second signal to systemd-nspawn would cut the power.
    shutDown: () => sendToGrandchildren(child.pid, POWEROFF_SIGNAL),
    cutPower: () => child.kill('SIGKILL'),
    whileFrozen: (work) => whileFrozen(() => findMachineProcesses(source), work),
  };
}
