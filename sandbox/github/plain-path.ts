import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Returns a path of the folder without blanks and shell metacharacters, because act puts it into command
 * lines unquoted: the folder's own path, or a link to it in a folder of this user below `links`.
 */
export function plainPath(folder: string, links = '/tmp'): string {
  if (isPlain(folder)) return folder;
  const linkFolder = toLinkFolder(folder, links);
  mkdirSync(linkFolder, { recursive: true, mode: 0o700 });
  const found = lstatSync(linkFolder);
  // Other users can write to /tmp: never use what they created.
  if (!found.isDirectory() || found.uid !== userId() || (found.mode & 0o022) !== 0)
    throw new Error(`${linkFolder} belongs to another user`);
  const link = join(linkFolder, 'link');
  try {
    symlinkSync(folder, link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || readlinkSync(link) !== folder) throw error;
  }
  return link;
}

/** Removes the link, if there is one. */
export function removePlainPath(folder: string, links = '/tmp'): void {
  if (!isPlain(folder)) rmSync(toLinkFolder(folder, links), { recursive: true, force: true });
}

const isPlain = (folder: string) => /^[\w./-]+$/.test(folder);
const userId = () => process.getuid?.() ?? 0;

function toLinkFolder(folder: string, links: string): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return join(links, `agent-stacks-${userId()}-${hash}`);
}
