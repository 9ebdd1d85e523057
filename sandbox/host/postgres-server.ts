import { closeSync, existsSync, fstatSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { StoppedError, type Waiter } from '../../src/processes/waiting.ts';
import type { PostgresPrograms } from './postgres-account.ts';
import { spawnPostgresProgram } from './postgres-account.ts';
import { clusterPaths } from './postgres-cluster.ts';
import { clusterName, stopPostmaster } from './postmaster.ts';

export interface PostgresExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  expected: boolean;
}

/** A started server process; it may not accept connections yet. */
export interface PostgresServer {
  pid: number;
  exited: Promise<PostgresExit>;
  stop(): Promise<void>;
  /** Its log since this start. */
  messages(): string;
}

/** Starts the server on an existing cluster, outside this process's group. */
export function startServer(
  dataDir: string,
  programs: PostgresPrograms,
  options: { port: number; durable: boolean },
): PostgresServer {
  const { cluster, serverLog } = clusterPaths(dataDir);
  if (existsSync(serverLog) && statSync(serverLog).size > 5_000_000) renameSync(serverLog, `${serverLog}.1`);
  // A file, not a pipe: the server outlives a killed parent, and a broken pipe would crash it.
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

/** Durable and small settings, for a few hundred agents on a small machine. */
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
    // A cluster of a few minutes has nothing to clean up, and copies databases all the time.
    `autovacuum=${durability}`,
    ...(options.durable ? [] : ['file_copy_method=clone']),
    // Even without fsync: commits then survive a kill of the server, though not a crash of the machine.
    'synchronous_commit=on',
  ];
}

/**
 * Waits until the server accepts connections. @returns `null`, or the server's output if it failed.
 * @throws StoppedError after stopping the server
 */
export async function untilServing(
  server: PostgresServer,
  adminUrl: string,
  { say: log, signal }: Waiter,
): Promise<string | null> {
  const startedAt = Date.now();
  const timeoutSeconds = 600;
  let ended = false;
  server.exited.then(() => {
    ended = true;
  });
  for (let told = 0; ; ) {
    if (signal?.aborted) {
      await server.stop();
      throw new StoppedError();
    }
    if (ended) return server.messages().trim() || 'its program could not be run';
    const answer = await answers(adminUrl);
    if (answer === 'yes') return null;
    const seconds = Math.floor((Date.now() - startedAt) / 1000);
    if (seconds > timeoutSeconds) {
      await server.stop();
      return `no answer within ${timeoutSeconds} s; ${server.messages().trim()}`;
    }
    if (answer === 'refused' && seconds > 5) {
      await server.stop();
      return 'it rejects the password in connection.json: the cluster was created with another';
    }
    if (answer === 'starting' && seconds >= told + 2) {
      told = seconds;
      log(`Postgres is recovering from an interrupted run (${seconds} s)`);
    }
    if (answer === 'no' && seconds >= told + 5) {
      told = seconds;
      log(
        `Waiting for Postgres on ${new URL(adminUrl).host}: it runs and does not answer yet (${seconds} s)`,
      );
    }
    await sleep(25);
  }
}

/** Whether it accepts connections, is starting (or recovering), rejects the password, or does not answer. */
export async function answers(adminUrl: string): Promise<'yes' | 'starting' | 'refused' | 'no'> {
  const client = new pg.Client({ connectionString: adminUrl, connectionTimeoutMillis: 5000 });
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
