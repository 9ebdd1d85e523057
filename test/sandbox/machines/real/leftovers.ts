import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';

/** The tag of the processes of an installation's machines. */
export const machinesTag = (dir: string) =>
  createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12);

/** Lists what remains of an installation's network and machines on this host, apart from its folder. */
export function leftovers(dir: string) {
  const tag = machinesTag(dir);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return {
    tagged: processes.filter((pid) => read(pid, 'environ').includes(`AGENT_STACKS_MACHINES=${tag}`)),
    onDisks: processes.filter((pid) => read(pid, 'mountinfo').includes(`agent-stacks-${tag}-`)),
    controlGroups: ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified']
      .filter(existsSync)
      .flatMap((tree) => readdirSync(tree).filter((name) => name.includes(tag))),
  };
}

export const nothing = { tagged: [], onDisks: [], controlGroups: [] };

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
