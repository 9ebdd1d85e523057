import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { chmod, mkdir, realpath } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Secret } from '../secret.ts';
import type { PostgresAccount, PostgresPrograms } from './postgres-account.ts';
import { choosePostgresPrograms, spawnPostgresProgram } from './postgres-account.ts';
import { clusterPaths, ensureCluster, readConnection, writeConnection } from './postgres-cluster.ts';
import { clusterName, findPostmaster, removeStalePidFile, stopPostmaster } from './postmaster.ts';

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

export interface PostgresExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  expected: boolean;
}

export interface HostOptions {
  /** DATA_DIR; the caller holds its claim (data-dir-lock.ts). */
  dataDir: string;
  log?: (line: string) => void;
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
  await mkdir(clusterPaths(options.dataDir).folder, { recursive: true, mode: 0o700 });
  const dataDir = await realpath(options.dataDir);
  const { folder, cluster } = clusterPaths(dataDir);
  await chmod(folder, 0o700);
  const programs = await choosePostgresPrograms(folder, options.only ? { only: options.only } : {});
  await endPredecessor(cluster, log);
  const connection = await ensureCluster(dataDir, programs, { durable, log });
  let preferred = connection.port;
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort(preferred);
    const server = startServer(dataDir, programs, { port, durable });
    const running = describe(port, server.pid, connection.password);
    const failure = await untilServing(running, server, log);
    if (failure === null) {
      await writeConnection(dataDir, { password: connection.password, port });
      return { ...running, stop: server.stop, exited: server.exited };
    }
    // Between the look for a free port and its use another may have taken it; and a killed predecessor's
    // backends may take a moment to notice that it is gone.
    const passing = /could not create any TCP\/IP sockets|shared memory block .* is still in use/;
    if (attempt === 5 || !passing.test(failure)) throw new Error(`Postgres did not start: ${failure}`);
    preferred = null;
    await sleep(200 * attempt);
  }
}

/** The Postgres that another process hosts on this DATA_DIR now; `null` when there is none. */
export async function findHostedPostgres(options: { dataDir: string }): Promise<RunningPostgres | null> {
  const connection = await readConnection(options.dataDir);
  const postmaster = findPostmaster(clusterPaths(options.dataDir).cluster);
  if (connection === null || postmaster === null) return null;
  const running = describe(postmaster.port, postmaster.pid, connection.password);
  return (await answers(running)) === 'yes' ? running : null;
}

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

async function ensureDatabase(adminUrl: string, database: string): Promise<void> {
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

interface Server {
  pid: number;
  exited: Promise<PostgresExit>;
  stop(): Promise<void>;
  /** What it wrote to its log since this start. */
  messages(): string;
}

function startServer(
  dataDir: string,
  programs: PostgresPrograms,
  options: { port: number; durable: boolean },
): Server {
  const { cluster, serverLog } = clusterPaths(dataDir);
  if (existsSync(serverLog) && statSync(serverLog).size > 5_000_000) renameSync(serverLog, `${serverLog}.1`);
  // A file and not a pipe: the server outlives a killed parent, and must not stumble over a broken pipe.
  const output = openSync(serverLog, 'a+', 0o600);
  const offset = fstatSync(output).size;
  const settings = serverSettings(options, clusterName(cluster));
  const child = spawnPostgresProgram(
    programs,
    'postgres',
    cluster,
    (path) => ['-D', path, ...settings.flatMap((setting) => ['-c', setting])],
    { output, detached: true },
  );
  let expected = false;
  const exited = new Promise<PostgresExit>((resolve) => {
    child.once('error', () => resolve({ code: null, signal: null, expected }));
    child.once('exit', (code, signal) => resolve({ code, signal, expected }));
  });
  exited.finally(() => closeSync(output));
  const stop = async () => {
    expected = true;
    if (child.pid !== undefined) await stopPostmaster(child.pid);
    await exited;
  };
  return { pid: child.pid ?? 0, exited, stop, messages: () => readFrom(serverLog, offset) };
}

/** Durable and small: what a service with a few hundred agents needs on a small machine. */
function serverSettings(options: { port: number; durable: boolean }, name: string): string[] {
  const durability = options.durable ? 'on' : 'off';
  return [
    `port=${options.port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `cluster_name=${name}`,
    'max_connections=200',
    'shared_buffers=64MB',
    'max_wal_size=512MB',
    'jit=off',
    // Parallel queries need more of /dev/shm than the 64 MB that containers have.
    'max_parallel_workers_per_gather=0',
    'timezone=UTC',
    'log_timezone=UTC',
    `fsync=${durability}`,
    `full_page_writes=${durability}`,
    `synchronous_commit=${durability}`,
  ];
}

/** Waits for the first answer. Returns `null`, or what the server said before it ended. */
async function untilServing(
  running: RunningPostgres,
  server: Server,
  log: (line: string) => void,
): Promise<string | null> {
  const startedAt = Date.now();
  const timeoutSeconds = 600;
  let ended = false;
  server.exited.then(() => {
    ended = true;
  });
  for (let told = 0; ; ) {
    if (ended) return server.messages().trim() || 'its program could not be run';
    const answer = await answers(running);
    if (answer === 'yes') return null;
    const seconds = Math.floor((Date.now() - startedAt) / 1000);
    if (seconds > timeoutSeconds) {
      await server.stop();
      return `no answer within ${timeoutSeconds} s; ${server.messages().trim()}`;
    }
    if (answer === 'refused' && seconds > 5) {
      await server.stop();
      return 'it refuses the password in connection.json, which is not the one it was made with';
    }
    if (answer === 'starting' && seconds >= told + 2) {
      told = seconds;
      log(`Postgres is recovering from an interrupted run (${seconds} s)`);
    }
    await sleep(25);
  }
}

async function answers(running: RunningPostgres): Promise<'yes' | 'starting' | 'refused' | 'no'> {
  const client = new pg.Client({ connectionString: running.adminUrl, connectionTimeoutMillis: 5000 });
  client.on('error', () => {});
  try {
    await client.connect();
    return 'yes';
  } catch (error) {
    const { code } = error as { code?: string };
    return code === '57P03' ? 'starting' : code === '28P01' ? 'refused' : 'no';
  } finally {
    await client.end().catch(() => {});
  }
}

/** `preferred` if nobody listens on it, otherwise any free port on 127.0.0.1. */
async function freePort(preferred: number | null): Promise<number> {
  const tryPort = (port: number) =>
    new Promise<number | null>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(null));
      probe.listen(port, '127.0.0.1', () => {
        const { port: free } = probe.address() as AddressInfo;
        probe.close(() => resolve(free));
      });
    });
  const port = (preferred === null ? null : await tryPort(preferred)) ?? (await tryPort(0));
  if (port === null) throw new Error('No free port on 127.0.0.1');
  return port;
}

function readFrom(path: string, offset: number): string {
  const file = openSync(path, 'r');
  try {
    const length = Math.min(fstatSync(file).size - offset, 100_000);
    const content = Buffer.alloc(Math.max(length, 0));
    readSync(file, content, 0, content.length, offset);
    return content.toString('utf8');
  } finally {
    closeSync(file);
  }
}
