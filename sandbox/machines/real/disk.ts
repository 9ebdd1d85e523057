import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** One installation of one server's disk. */
export interface DiskName {
  serverId: number;
  generation: number;
}

const DISK_NAME = /^(\d+)-(\d+)$/;
const UNFINISHED = /\.(removed|partial)$/;

/**
 * Returns the folder of a disk, created if absent: the machine's own files (upper) over the base. A disk
 * keeps the base that it was created on, as long as that exists.
 */
export function ensureDisk(dir: string, disk: DiskName, base: string): string {
  const folder = diskFolder(dir, disk);
  for (const name of ['work', 'root', 'upper']) mkdirSync(join(folder, name), { recursive: true });
  // It becomes the machine's root folder, which its accounts must read regardless of this process's umask.
  chmodSync(join(folder, 'upper'), 0o755);
  const link = join(folder, 'base');
  if (!existsSync(link)) {
    rmSync(link, { force: true });
    symlinkSync(base, link);
  }
  return folder;
}

/** Lists all disks in the folder. */
export function listDisks(dir: string): DiskName[] {
  return readdirSync(dir).flatMap((name) => {
    const [, serverId, generation] = DISK_NAME.exec(name) ?? [];
    return serverId === undefined ? [] : [{ serverId: Number(serverId), generation: Number(generation) }];
  });
}

/** Returns the folder of a disk. */
export const diskFolder = (dir: string, { serverId, generation }: DiskName) =>
  join(dir, `${serverId}-${generation}`);

/** Removes the disk of a machine that is not running. */
export async function removeDisk(dir: string, disk: DiskName): Promise<void> {
  await removeFolder(diskFolder(dir, disk));
}

/** Removes a folder. It is renamed first, so that a kill leaves no partial disk. */
export async function removeFolder(folder: string): Promise<void> {
  await rename(folder, `${folder}.removed`).catch(ignoreMissing);
  await rm(`${folder}.removed`, { recursive: true, force: true });
}

/** Finishes removals, and undoes copies, that a kill interrupted. */
export async function finishRemovals(dir: string): Promise<void> {
  for (const name of readdirSync(dir).filter((entry) => UNFINISHED.test(entry)))
    await rm(join(dir, name), { recursive: true, force: true });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
