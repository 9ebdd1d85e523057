// Claims and releases a folder many times; fails if two processes are ever host at the same moment.
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { claimDataDir } from '../../../src/processes/folder-lock.ts';

const [, , dataDir, count] = process.argv;
const room = join(dataDir!, 'room');
for (let won = 0; won < Number(count); ) {
  const claim = await claimDataDir(dataDir!);
  if (claim.role === 'join') continue;
  mkdirSync(room);
  rmdirSync(room);
  won += 1;
  claim.release();
}
