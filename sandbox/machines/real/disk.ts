import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** One installation of one server's disk. */
export interface DiskName {
  serverId: number;
  generation: number;
}

const pattern = /^(\d+)-(\d+)$/;
const removed = /\.removed$/;

/**
 * The folder of a disk, made if it is not there: what the machine has written (upper) over the base. A disk stays on the
 * base that it was made on, for as long as that exists.
 */
export function ensureDisk(dir: string, { serverId, generation }: DiskName, base: string): string {
  const folder = join(dir, `${serverId}-${generation}`);
  for (const name of ['work', 'root', 'upper']) mkdirSync(join(folder, name), { recursive: true });
  // It is the root folder that the machine's own accounts see, whatever this process's umask.
  chmodSync(join(folder, 'upper'), 0o755);
  const link = join(folder, 'base');
  if (!existsSync(link)) {
    rmSync(link, { force: true });
    symlinkSync(base, link);
  }
  return folder;
}

/** All disks that there are. */
export function listDisks(dir: string): DiskName[] {
  return readdirSync(dir).flatMap((name) => {
    const [, serverId, generation] = pattern.exec(name) ?? [];
    return serverId === undefined ? [] : [{ serverId: Number(serverId), generation: Number(generation) }];
  });
}

/** Removes a disk whose machine does not run: out of sight in one step, so that a kill leaves no half of one. */
export async function removeDisk(dir: string, { serverId, generation }: DiskName): Promise<void> {
  const folder = join(dir, `${serverId}-${generation}`);
  await rename(folder, `${folder}.removed`).catch(ignoreMissing);
  await rm(`${folder}.removed`, { recursive: true, force: true });
}

/** What a kill left of disks that were being removed. */
export async function finishRemovals(dir: string): Promise<void> {
  for (const name of readdirSync(dir).filter((entry) => removed.test(entry)))
    await rm(join(dir, name), { recursive: true, force: true });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
