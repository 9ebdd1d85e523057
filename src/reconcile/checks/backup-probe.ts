import { readFile } from 'node:fs/promises';
import { sql } from 'kysely';
import { z } from 'zod';
import type { Database } from '../../database/connect.ts';
import { MisconfiguredError, nothing, type Probe } from './probe.ts';

/** What is known of an installation's backups. */
export interface KnownBackups {
  /** When the newest was finished; undefined: none is known. */
  newest: Date | undefined;
  /** Why the last attempt failed, if none succeeded after it. */
  failure?: string | undefined;
  /** Since when there is something to back up. */
  since?: Date | undefined;
}

export type ReadBackups = () => Promise<KnownBackups>;

const CURE = 'Make one, and see why none was made since: docs/operating.md, “Backup and restore”.';

/** Whether the newest backup is young enough. `mostHours`: undefined if backups are not watched. */
export function backupProbe(read: ReadBackups, mostHours: number | undefined): Probe {
  return {
    name: 'backup',
    blocks: nothing,
    cure: CURE,
    look: async () => {
      if (mostHours === undefined)
        return 'not watched: set BACKUP_TO, or BACKUP_MAX_AGE for backups of your own';
      const { newest, failure, since } = await read();
      const why = failure === undefined ? '' : `. The last attempt failed: ${failure}`;
      if (newest === undefined) {
        if (failure === undefined && since !== undefined && hoursSince(since) <= mostHours)
          return 'none was made yet, and the installation is new';
        throw new MisconfiguredError(`No backup is known${why}`, CURE);
      }
      const hours = hoursSince(newest);
      if (hours > mostHours)
        throw new MisconfiguredError(
          `The newest backup is ${Math.floor(hours)} hours old, more than ${mostHours}${why}`,
          CURE,
        );
      return `the newest backup is ${Math.floor(hours)} hours old`;
    },
  };
}

const hoursSince = (then: Date) => (Date.now() - then.getTime()) / 3_600_000;

/** Reads the service's own backups, and the record of a job that makes others; the newest counts. */
export const readBackups =
  (database: Database, file: string): ReadBackups =>
  async () => {
    const [own, recorded] = await Promise.all([readOwn(database), readRecord(file)]);
    const newest = [own.newest, recorded].filter((one) => one !== undefined);
    return { ...own, newest: newest.sort((one, other) => other.getTime() - one.getTime())[0] };
  };

async function readOwn(database: Database): Promise<KnownBackups> {
  const { rows } = await sql<{ newest: Date | null; failure: string | null; since: Date | null }>`
    select (select max(finished_at) from backups where location is not null and error is null) as newest,
      (select case when location is null then error end from backups where finished_at is not null
        order by backup_id desc limit 1) as failure,
      (select created_at from installation) as since`.execute(database);
  const { newest, failure, since } = rows[0]!;
  return { newest: newest ?? undefined, failure: failure ?? undefined, since: since ?? undefined };
}

const recordSchema = z.object({ finishedAt: z.iso.datetime({ offset: true }) });

/**
 * Reads the record that a job which makes backups leaves: `{"finishedAt": "2026-01-31T02:00:00Z"}`.
 * @throws MisconfiguredError if it cannot be read
 */
async function readRecord(file: string): Promise<Date | undefined> {
  try {
    const { finishedAt } = recordSchema.parse(JSON.parse(await readFile(file, 'utf8')));
    return new Date(finishedAt);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new MisconfiguredError(`${file} cannot be read as the record of a backup`, CURE);
  }
}
