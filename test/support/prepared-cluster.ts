import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { clusterPaths, readConnection, writeConnection } from '../../sandbox/host/postgres-cluster.ts';

/** The databases that `npm start` has made once it is ready. */
export const INSTALLATION_DATABASES = { service: 'agents', sandbox: 'sandbox', pulumi: 'pulumi' } as const;

/**
 * Keeps a copy of a cluster that has just been stopped, for installations to begin with. No service has ever
 * run on it: it knows no installation.
 */
export async function keepCluster(dataDir: string, folder: string): Promise<void> {
  await mkdir(folder, { mode: 0o700 });
  await copy(dataDir, folder);
}

/**
 * Gives a new DATA_DIR the database of an installation that has been started and stopped without doing
 * anything: to make it takes two seconds of processor time, and most tests do not look at that.
 */
export async function placeCluster(dataDir: string): Promise<void> {
  await copy(inject('preparedCluster'), dataDir);
}

async function copy(from: string, to: string): Promise<void> {
  const { folder, serverLog } = clusterPaths(to);
  await promisify(execFile)('cp', ['--archive', '--reflink=auto', '--', clusterPaths(from).folder, to]);
  await rm(serverLog, { force: true });
  const connection = await readConnection(to);
  if (connection === null) throw new Error(`${join(folder, 'connection.json')} is missing`);
  // Each begins with a port of its own.
  await writeConnection(to, { ...connection, port: null });
}
