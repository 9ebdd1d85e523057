import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

/** The newest backup of an installation. */
export interface NewestBackup {
  finishedAt: Date;
}

/** Finds the newest backup, wherever it is recorded; undefined if none is known. */
export type ReadNewestBackup = () => Promise<NewestBackup | undefined>;

const CURE = 'Make one, and see why none was made since: docs/operating.md, “Backup and restore”.';

/** Whether the newest backup is young enough. `mostHours`: undefined if backups are not watched. */
export function backupProbe(read: ReadNewestBackup, mostHours: number | undefined): Probe {
  return {
    name: 'backup',
    blocks: nothing,
    cure: CURE,
    look: async () => {
      if (mostHours === undefined)
        return 'not watched: set BACKUP_MAX_AGE to be told when the newest is too old';
      const newest = await read();
      if (newest === undefined) throw new MisconfiguredError('No backup is known', CURE);
      const hours = (Date.now() - newest.finishedAt.getTime()) / 3_600_000;
      if (hours > mostHours)
        throw new MisconfiguredError(
          `The newest backup is ${Math.floor(hours)} hours old, more than ${mostHours}`,
          CURE,
        );
      return `the newest backup is ${Math.floor(hours)} hours old`;
    },
  };
}

const recordSchema = z.object({ finishedAt: z.iso.datetime({ offset: true }) });

/**
 * Reads the record that a job which makes backups leaves: `{"finishedAt": "2026-01-31T02:00:00Z"}`.
 * @throws Error if it cannot be read
 */
export const readBackupRecord =
  (file: string): ReadNewestBackup =>
  async () => {
    try {
      const { finishedAt } = recordSchema.parse(JSON.parse(await readFile(file, 'utf8')));
      return { finishedAt: new Date(finishedAt) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new MisconfiguredError(`${file} cannot be read as the record of a backup`, CURE);
    }
  };
