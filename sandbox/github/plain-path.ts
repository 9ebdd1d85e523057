import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A path of the folder that has no blank and nothing else that a shell reads: act puts it into command lines as it is. The
 * folder's own one, or that of a link to it in a folder of this user's under `links`.
 */
export function plainPath(folder: string, links = '/tmp'): string {
  if (isPlain(folder)) return folder;
  const place = placeOf(folder, links);
  mkdirSync(place, { recursive: true, mode: 0o700 });
  const found = lstatSync(place);
  // Others may write in /tmp: what they put there is not used.
  if (!found.isDirectory() || found.uid !== userId() || (found.mode & 0o022) !== 0)
    throw new Error(`${place} belongs to somebody else`);
  const link = join(place, 'link');
  try {
    symlinkSync(folder, link);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || readlinkSync(link) !== folder) throw error;
  }
  return link;
}

/** Takes the link away again, where one was made. */
export function removePlainPath(folder: string, links = '/tmp'): void {
  if (!isPlain(folder)) rmSync(placeOf(folder, links), { recursive: true, force: true });
}

const isPlain = (folder: string) => /^[\w./-]+$/.test(folder);
const userId = () => process.getuid?.() ?? 0;

function placeOf(folder: string, links: string): string {
  const hash = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return join(links, `agent-stacks-${userId()}-${hash}`);
}
