import { join } from 'node:path';
import { claimFolder, folderOwner } from './claims.mjs';

/** The process that hosts a DATA_DIR's database and sandbox. */
export interface DataDirOwner {
  pid: number;
  startedAt: Date;
}

export type DataDirClaim = { role: 'host'; release(): void } | { role: 'join'; owner: DataDirOwner };

/**
 * Decides whether this process hosts DATA_DIR (created with mode 0700 if absent) or joins the one that does.
 * Exactly one live process is the host at any moment; a host that died is replaced.
 */
export async function claimDataDir(dataDir: string): Promise<DataDirClaim> {
  const claim = claimFolder(join(dataDir, 'host'));
  if (claim.owner !== null) return { role: 'join', owner: claim.owner };
  return { role: 'host', release: claim.release };
}

/** Finds the live host of a DATA_DIR, or `null`. */
export function findDataDirOwner(dataDir: string): DataDirOwner | null {
  return folderOwner(join(dataDir, 'host'));
}
