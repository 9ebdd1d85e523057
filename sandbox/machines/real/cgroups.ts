import { existsSync, readdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The trees of systemd's control groups: one in version 2, two in version 1. */
const TREES = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified', '/sys/fs/cgroup/systemd'];

const TIMEOUT_MS = 2000;

/** Removes a machine's control groups; retries until the last of its processes has left them. */
export async function removeCgroup(name: string): Promise<void> {
  const folders = TREES.map((tree) => join(tree, name));
  for (const deadline = Date.now() + TIMEOUT_MS; ; ) {
    try {
      for (const folder of folders) if (existsSync(folder)) removeTree(folder);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(20);
    }
  }
}

/** Returns the names of all control groups with this prefix. */
export function cgroupsNamed(prefix: string): string[] {
  const names = TREES.flatMap((tree) => (existsSync(tree) ? readdirSync(tree) : []));
  return [...new Set(names.filter((name) => name.startsWith(prefix)))];
}

function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(folder, entry.name));
  rmdirSync(folder);
}
