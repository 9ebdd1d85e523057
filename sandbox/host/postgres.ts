import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Secret } from '../../src/secret.ts';
import { freePort } from './free-port.ts';
import type { PostgresAccount } from './postgres-account.ts';
import { choosePostgresPrograms } from './postgres-account.ts';
import { clusterPaths, ensureCluster, readConnection, writeConnection } from './postgres-cluster.ts';
import type { PostgresExit } from './postgres-server.ts';
import { answers, startServer, untilServing } from './postgres-server.ts';
import { findPostmaster, removeStalePidFile, stopPostmaster } from './postmaster.ts';

/** A Postgres that runs on this machine. The addresses contain the superuser's password. */
export interface RunningPostgres {
  /** `postgres://postgres:…@127.0.0.1:port/postgres` */
  adminUrl: string;
  port: number;
  pid: number;
  /** The address of one database. */
  url(database: string): string;
  /** Creates a database unless it exists; safe to call concurrently. */
  ensureDatabase(database: string): Promise<void>;
}

/** The Postgres that this process started and must stop. */
export interface HostedPostgres extends RunningPostgres {
  /** Closes the sessions, writes a checkpoint, exits. */
  stop(): Promise<void>;
  /** Resolves when the server has exited; `expected` tells whether `stop` was called. */
  exited: Promise<PostgresExit>;
}

export interface HostOptions {
  /** DATA_DIR; the caller holds its claim (folder-lock.ts). */
  dataDir: string;
  log?: (line: string) => void;
  /** Aborts the start, which stops what it has started. */
  signal?: AbortSignal | undefined;
  /**
   * The port that clients already know; waits until it is free. Unset: the last port if free, otherwise any.
   */
  port?: number | undefined;
  /** `false` is faster and may lose data. For tests. */
  durable?: boolean;
  /** Allows only this kind of account. For tests. */
  only?: PostgresAccount['kind'];
}

/**
 * Starts Postgres on DATA_DIR/postgres and returns once it accepts connections. The first start creates the
 * cluster. An orphaned server of a killed process is stopped first. Postgres listens only on 127.0.0.1, on
 * its last port if that is free. It runs outside the terminal's process group, so that only `stop` ends it,
 * not Ctrl-C.
 */
export async function hostPostgres(options: HostOptions): Promise<HostedPostgres> {
  const log = options.log ?? (() => {});
  const durable = options.durable ?? true;
  const dataDir = await prepareFolder(options.dataDir);
  const { folder, cluster } = clusterPaths(dataDir);
  const programs = await choosePostgresPrograms(folder, options.only ? { only: options.only } : {});
  await stopOrphan(cluster, log);
  const connection = await ensureCluster(dataDir, programs, { durable, log });
  let preferred = connection.port;
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort(preferred));
    const server = startServer(dataDir, programs, { port, durable });
    const running = describe(port, server.pid, connection.password);
    const failure = await untilServing(server, running.adminUrl, { say: log, signal: options.signal });
    if (failure === null) {
      await writeConnection(dataDir, { password: connection.password, port });
      return { ...running, stop: server.stop, exited: server.exited };
    }
    if (attempt === 5 || !TRANSIENT_FAILURE.test(failure))
      throw new Error(`Postgres did not start: ${failure}`);
    if (PORT_TAKEN.test(failure)) preferred = null;
    await sleep(200 * attempt);
    await stopOrphan(cluster, log);
  }
}

/** Finds the Postgres that another process hosts on this DATA_DIR; `null` if there is none. */
export async function findHostedPostgres(options: { dataDir: string }): Promise<RunningPostgres | null> {
  const connection = await readConnection(options.dataDir);
  const postmaster = findPostmaster(clusterPaths(options.dataDir).cluster);
  if (connection === null || postmaster === null) return null;
  const running = describe(postmaster.port, postmaster.pid, connection.password);
  return (await answers(running.adminUrl)) === 'yes' ? running : null;
}

/** Creates the folder for the cluster, private to its owner. @returns the real path of DATA_DIR */
async function prepareFolder(dataDir: string): Promise<string> {
  const { folder } = clusterPaths(dataDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid } = await stat(folder);
  const user = process.getuid?.() ?? uid;
  if (user !== 0 && user !== uid) {
    const hint = 'Start this as that user, or set DATA_DIR to another folder.';
    throw new Error(`${folder} belongs to another user (uid ${uid}). ${hint}`);
  }
  await chmod(folder, 0o700);
  return realpath(dataDir);
}

/**
 * Transient failures: the port was taken after it was found free, sessions of a killed server have not ended
 * yet, or a process was killed before its server had written its pid file.
 */
const PORT_TAKEN = /could not create any TCP\/IP sockets/;
const TRANSIENT_FAILURE =
  /could not create any TCP\/IP sockets|is still in use|lock file "postmaster.pid" already exists/;

async function stopOrphan(cluster: string, log: (line: string) => void): Promise<void> {
  const orphan = findPostmaster(cluster);
  if (orphan !== null) {
    log(`Stopping the Postgres (process ${orphan.pid}) that an interrupted run left behind`);
    await stopPostmaster(orphan.pid);
  }
  removeStalePidFile(cluster);
}

function describe(port: number, pid: number, password: Secret): RunningPostgres {
  const url = (database: string) =>
    `postgres://postgres:${encodeURIComponent(password.reveal())}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const adminUrl = url('postgres');
  return { adminUrl, port, pid, url, ensureDatabase: (database) => ensureDatabase(adminUrl, database) };
}

/** Creates a database on the server of `adminUrl` unless it exists; safe to call concurrently. */
export async function ensureDatabase(adminUrl: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [database]);
    if (rowCount === 0)
      await client.query(`create database ${client.escapeIdentifier(database)} template template0`);
  } catch (error) {
    // The two errors for a database that another process created concurrently.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await client.end();
  }
}
