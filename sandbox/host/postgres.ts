import { chmod, mkdir, realpath, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Secret } from '../../src/secret.ts';
import type { PostgresAccount } from './postgres-account.ts';
import { choosePostgresPrograms } from './postgres-account.ts';
import { clusterPaths, ensureCluster, readConnection, writeConnection } from './postgres-cluster.ts';
import type { PostgresExit } from './postgres-server.ts';
import { answers, freePort, startServer, untilServing } from './postgres-server.ts';
import { findPostmaster, removeStalePidFile, stopPostmaster } from './postmaster.ts';

/** A Postgres that runs on this machine, whoever started it. The addresses contain the superuser's password. */
export interface RunningPostgres {
  /** `postgres://postgres:…@127.0.0.1:port/postgres` */
  adminUrl: string;
  port: number;
  pid: number;
  /** The address of one database. */
  url(database: string): string;
  /** Makes a database unless it exists; two callers at once are fine. */
  ensureDatabase(database: string): Promise<void>;
}

/** The Postgres that this process started and must stop. */
export interface HostedPostgres extends RunningPostgres {
  /** Cuts the sessions, writes a checkpoint, ends. */
  stop(): Promise<void>;
  /** Settles when the server has ended; `expected` says whether `stop` was called before. */
  exited: Promise<PostgresExit>;
}

export interface HostOptions {
  /** DATA_DIR; the caller holds its claim (data-dir-lock.ts). */
  dataDir: string;
  log?: (line: string) => void;
  /** Ends the start: what was started is stopped again, and the start fails. */
  signal?: AbortSignal | undefined;
  /**
   * The port that clients already know: nothing but this one will do, and it is waited for. Unset: the port it had
   * before if that is free, otherwise any.
   */
  port?: number | undefined;
  /** `false` trades the safety of the data against speed. For tests. */
  durable?: boolean;
  /** Settles for one way of running as root. For tests. */
  only?: PostgresAccount['kind'];
}

/**
 * Starts Postgres on DATA_DIR/postgres, making the cluster at the first start, and returns once it serves. A server
 * that a killed predecessor left behind is stopped first. It listens on 127.0.0.1 only, on the port it had before if
 * that is free, and runs outside the terminal's process group: Ctrl-C reaches it through `stop` alone, in its turn.
 */
export async function hostPostgres(options: HostOptions): Promise<HostedPostgres> {
  const log = options.log ?? (() => {});
  const durable = options.durable ?? true;
  const dataDir = await prepareFolder(options.dataDir);
  const { folder, cluster } = clusterPaths(dataDir);
  const programs = await choosePostgresPrograms(folder, options.only ? { only: options.only } : {});
  await endPredecessor(cluster, log);
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
    if (attempt === 5 || !passingFailure.test(failure)) throw new Error(`Postgres did not start: ${failure}`);
    if (portTaken.test(failure)) preferred = null;
    await sleep(200 * attempt);
    await endPredecessor(cluster, log);
  }
}

/** The Postgres that another process hosts on this DATA_DIR now; `null` when there is none. */
export async function findHostedPostgres(options: { dataDir: string }): Promise<RunningPostgres | null> {
  const connection = await readConnection(options.dataDir);
  const postmaster = findPostmaster(clusterPaths(options.dataDir).cluster);
  if (connection === null || postmaster === null) return null;
  const running = describe(postmaster.port, postmaster.pid, connection.password);
  return (await answers(running.adminUrl)) === 'yes' ? running : null;
}

/** The folder for the cluster, private to its owner. Returns the real path of DATA_DIR. */
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
 * Failures that pass: the port was taken between the look for it and its use; a killed predecessor's sessions take a
 * moment to notice that it is gone; or it was killed so early that its server had not yet written its pid file.
 */
const portTaken = /could not create any TCP\/IP sockets/;
const passingFailure =
  /could not create any TCP\/IP sockets|is still in use|lock file "postmaster.pid" already exists/;

async function endPredecessor(cluster: string, log: (line: string) => void): Promise<void> {
  const predecessor = findPostmaster(cluster);
  if (predecessor !== null) {
    log(`Stopping the Postgres (process ${predecessor.pid}) that an interrupted run left behind`);
    await stopPostmaster(predecessor.pid);
  }
  removeStalePidFile(cluster);
}

function describe(port: number, pid: number, password: Secret): RunningPostgres {
  const url = (database: string) =>
    `postgres://postgres:${encodeURIComponent(password.reveal())}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const adminUrl = url('postgres');
  return { adminUrl, port, pid, url, ensureDatabase: (database) => ensureDatabase(adminUrl, database) };
}

/** Makes a database on the server of `adminUrl` unless it exists; two callers at once are fine. */
export async function ensureDatabase(adminUrl: string, database: string): Promise<void> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [database]);
    if (rowCount === 0)
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(database)} TEMPLATE template0`);
  } catch (error) {
    // Duplicate, in the two forms it takes when somebody else makes it at the same moment.
    if (!['42P04', '23505'].includes((error as { code?: string }).code ?? '')) throw error;
  } finally {
    await client.end();
  }
}
