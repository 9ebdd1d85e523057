import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { SandboxDatabase } from '../../database.ts';
import { endOpenAction } from '../../hetzner/servers/actions.ts';
import { isVisible } from '../../hetzner/servers/store.ts';
import { diskFolder, finishRemovals, removeFolder } from './disk.ts';
import { spawnBound } from './processes.ts';
import type { DesiredServer } from './servers.ts';

/** The copies of disks behind the images of real machines: a folder each, named by the image's id. */
export interface DiskImages {
  /** Copies a disk into the image. The disk must not change meanwhile. @returns the size in GB */
  keep(disk: string, imageId: number): Promise<number>;
  /** Creates a disk from the image's copy. @throws Error if there is none */
  restore(imageId: number, disk: string): Promise<void>;
  /** Finds the copies of deleted images. */
  findForgotten(): Promise<number[]>;
  /**
   * Removes forgotten copies, except those that a server's first start still needs. `servers` must have been
   * read after the forgotten ones, or it may lack a server that was ordered just before an image's delete.
   */
  remove(forgotten: readonly number[], servers: readonly DesiredServer[]): Promise<void>;
}

export interface DiskImagesOptions {
  database: SandboxDatabase;
  /** Folder of the disks; the copies are in its folder `images`. */
  dir: string;
  /** Environment of the programs that copy. */
  environment: Record<string, string>;
}

const BYTES_PER_GB = 1e9;

/** Opens the folder of copies, after removing what a kill left unfinished. */
export async function openDiskImages({ database, dir, environment }: DiskImagesOptions): Promise<DiskImages> {
  const images = join(dir, 'images');
  mkdirSync(images, { recursive: true, mode: 0o700 });
  await finishRemovals(images);
  const folderOf = (imageId: number) => join(images, String(imageId));
  return {
    keep: async (disk, imageId) => {
      if (!existsSync(folderOf(imageId))) await copy(disk, folderOf(imageId), environment);
      return await sizeOf(folderOf(imageId), environment);
    },
    restore: async (imageId, disk) => {
      if (!existsSync(folderOf(imageId))) throw new Error(`the disk of image ${imageId} is missing`);
      await copy(folderOf(imageId), disk, environment);
    },
    findForgotten: async () => {
      const kept = readdirSync(images).filter((name) => /^\d+$/.test(name));
      if (kept.length === 0) return [];
      const known = await readImageIds(database);
      return kept.map(Number).filter((id) => !known.has(id));
    },
    remove: async (forgotten, servers) => {
      if (forgotten.length === 0) return;
      const awaited = servers
        .filter((server) => !server.deleted && !existsSync(diskFolder(dir, toDiskName(server))))
        .map(({ diskImage }) => diskImage);
      for (const id of forgotten) if (!awaited.includes(id)) await removeFolder(folderOf(id));
    },
  };
}

/** The name of the server's present disk. */
export const toDiskName = ({ id, generation }: Pick<DesiredServer, 'id' | 'generation'>) => ({
  serverId: id,
  generation,
});

async function readImageIds(database: SandboxDatabase): Promise<Set<number>> {
  const rows = await database
    .selectFrom('hetzner_images')
    .select('id')
    .where(isVisible(new Date()))
    .execute();
  return new Set(rows.map(({ id }) => id));
}

/** Copies a machine's own files and the link to its base. It gets its name last, so it is never partial. */
async function copy(from: string, to: string, environment: Record<string, string>): Promise<void> {
  const partial = `${to}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial);
  await run(['cp', '--archive', '--reflink=auto', '--', 'upper', 'base', partial], from, environment);
  await rename(partial, to);
}

/** The disk space that the whole system takes, with its base. */
async function sizeOf(folder: string, environment: Record<string, string>): Promise<number> {
  const command = ['du', '--summarize', '--total', '--dereference-args', '--block-size=1', 'base', 'upper'];
  const total = (await run(command, folder, environment)).trim().split('\n').at(-1) ?? '';
  return Number.parseInt(total, 10) / BYTES_PER_GB;
}

async function run(command: string[], cwd: string, env: Record<string, string>): Promise<string> {
  const child = spawnBound(command, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, complaint, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'exit'),
  ]);
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${complaint.trim().slice(0, 500)}`);
  return out;
}

/** Records how the copy of an image ended; its action ends with it. */
export async function recordCopy(
  database: SandboxDatabase,
  { imageId, serverId }: { imageId: number; serverId: number },
  copied: { sizeGb: number } | { problem: string },
): Promise<void> {
  await database.transaction().execute(async (trx) => {
    const now = new Date();
    await trx
      .updateTable('hetzner_images')
      .set(
        'sizeGb' in copied
          ? { machine_disk: 'copied', size_gb: copied.sizeGb, available_at: now }
          : { machine_disk: null, failed: true, available_at: now },
      )
      .where('id', '=', imageId)
      .execute();
    const error = 'problem' in copied ? { error: { code: 'action_failed', message: copied.problem } } : {};
    await endOpenAction(trx, { serverId, command: 'create_image', now, ...error });
  });
}
