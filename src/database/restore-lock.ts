import type { Database } from './connect.ts';
import { withLock, withSharedLock } from './with-lock.ts';

const RESTORE = 'restore';

/**
 * Replaces the databases while nothing starts on them.
 * @param taken says what follows if a process starts, or another restore is under way
 */
export const whileNothingStarts = <T>(
  database: Database,
  work: () => Promise<T>,
  taken: () => never,
): Promise<T> => withLock(database, RESTORE, { work, taken });

/**
 * Migrates and checks the database of a process that starts, until the process has announced itself there:
 * from then on a restore sees it.
 * @throws Error while a restore is under way
 */
export const whileStarting = <T>(database: Database, work: () => Promise<T>): Promise<T> =>
  withSharedLock(database, RESTORE, {
    work,
    taken: () => {
      throw new Error('A backup is being restored into this database: start again when that has ended');
    },
  });
