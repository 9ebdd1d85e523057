import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';

/** The tag of an installation's machine processes: its folder of machines. */
export const markOf = (dir: string) =>
  createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 12);

/** Lists what remains of an installation's network and machines on this host, apart from its folder. */
export function leftovers(dir: string) {
  const mark = markOf(dir);
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return {
    marked: processes.filter((pid) => read(pid, 'environ').includes(`AGENT_STACKS_MACHINES=${mark}`)),
    onDisks: processes.filter((pid) => read(pid, 'mountinfo').includes(`agent-stacks-${mark}-`)),
    controlGroups: ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified']
      .filter(existsSync)
      .flatMap((tree) => readdirSync(tree).filter((name) => name.includes(mark))),
  };
}

export const nothing = { marked: [], onDisks: [], controlGroups: [] };

function read(pid: string, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return '';
  }
}
