import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { signal } from '../../src/processes/find.ts';
import { type Outcome, runToEnd } from './commands.ts';

/** A machine's console, without a network between. */
export interface Screen {
  /** Runs a command as root. */
  run(command: string): Promise<Outcome>;
  /** Runs a command as root and returns its output. @throws Error if it fails */
  say(command: string): Promise<string>;
  /** Freezes every process of the machine, as a hanging host does, or lets them continue. */
  freeze(): void;
  thaw(): void;
}

/** The name of the root mount, by which the host recognises a machine's processes. */
function toMountName(dataDir: string, serverId: string): string {
  const hash = createHash('sha256')
    .update(realpathSync(join(dataDir, 'machines')))
    .digest('hex')
    .slice(0, 12);
  return ` agent-stacks-${hash}-${serverId} `;
}

/** Every process of a machine on this host, including systemd-nspawn. */
export function findMachineProcesses(dataDir: string, serverId: string): number[] {
  const mount = toMountName(dataDir, serverId);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && read(name, 'mountinfo').includes(mount))
    .map(Number);
}

/** The machine's init: the innermost process that is the first of a namespace. */
function findInit(dataDir: string, serverId: string): number | undefined {
  const getNamespaceDepth = (pid: number) =>
    /^NSpid:((?:\s+\d+)*\s+1)$/m
      .exec(read(String(pid), 'status'))?.[1]
      ?.trim()
      .split(/\s+/).length ?? 0;
  const first = findMachineProcesses(dataDir, serverId)
    .map((pid) => ({ pid, depth: getNamespaceDepth(pid) }))
    .filter(
      ({ pid, depth }) =>
        depth > 1 && /^\/(usr\/)?(lib\/systemd\/systemd|sbin\/init)\0/.test(read(String(pid), 'cmdline')),
    );
  return first.toSorted((a, b) => b.depth - a.depth)[0]?.pid;
}

export function openScreen(dataDir: string, serverId: string): Screen {
  const run = (command: string) => {
    const init = findInit(dataDir, serverId);
    if (init === undefined) throw new Error(`The machine of server ${serverId} does not run`);
    const enter = `--target=${init} --mount --uts --ipc --net --pid --cgroup`.split(' ');
    const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C.UTF-8' };
    // The caller's folder does not exist there.
    return runToEnd('nsenter', [...enter, '--', 'sh', '-c', `cd /; ${command}`], { cwd: '/', env });
  };
  const signalAll = (name: NodeJS.Signals) => {
    for (const pid of findMachineProcesses(dataDir, serverId)) signal(pid, name);
  };
  return {
    run,
    say: async (command) => {
      const { code, stdout, stderr } = await run(command);
      if (code !== 0) throw new Error(`${command}: ${code}\n${stdout}${stderr}`);
      return stdout.trim();
    },
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  };
}

/** Tries TCP connections as root on the machine. Returns those addresses, each `host port`, that accepted. */
export async function reachable(screen: Screen, addresses: string[], as = 'root'): Promise<string[]> {
  const script = `
import asyncio, sys
async def attempt(address):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(*address.rsplit(" ", 1)), 2)
        writer.close()
        return address
    except (OSError, asyncio.TimeoutError):
        return None
async def main():
    print("\\n".join(filter(None, await asyncio.gather(*map(attempt, sys.argv[1:])))))
asyncio.run(main())`;
  const words = addresses.map((address) => `'${address}'`).join(' ');
  return (await screen.say(`runuser -u ${as} -- python3 -Ic '${script}' ${words}`))
    .split('\n')
    .filter(Boolean);
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    // It has ended, or belongs to another user.
    return '';
  }
}
