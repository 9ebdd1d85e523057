import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const MEMORY = '/dev/shm';
/** Ten times what a run of all tests keeps there. */
const PLENTY_BYTES = 8 * 2 ** 30;

/**
 * The folder for databases that only live as long as a test: in memory where there is plenty of it. Each is
 * made of hundreds of files, which a disk's file system takes longer to create and to delete than Postgres to
 * use. Whoever names a folder in TMPDIR gets all of them there.
 */
export const memoryFolder = process.env.TMPDIR === undefined && hasPlenty() ? MEMORY : tmpdir();

function hasPlenty(): boolean {
  try {
    accessSync(MEMORY, constants.W_OK | constants.X_OK);
    // Some tests write programs beside their databases.
    if (/^\S+ \/dev\/shm \S+ \S*\bnoexec\b/m.test(readFileSync('/proc/mounts', 'utf8'))) return false;
    const { bavail, bsize } = statfsSync(MEMORY);
    return Math.min(bavail * bsize, process.availableMemory()) > PLENTY_BYTES;
  } catch {
    // Not Linux, or a container without it.
    return false;
  }
}
