import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { Secret } from '../../src/secret.ts';
import type { PostgresPrograms } from './postgres-account.ts';
import { giveToAccount, spawnPostgresProgram } from './postgres-account.ts';

/** Returns the paths of an embedded Postgres, all below DATA_DIR/postgres (0700). */
export function clusterPaths(dataDir: string) {
  const folder = join(dataDir, 'postgres');
  return {
    folder,
    cluster: join(folder, 'cluster'),
    connection: join(folder, 'connection.json'),
    serverLog: join(folder, 'server.log'),
  };
}

const connectionSchema = z.object({ password: z.string().min(1), port: z.number().int().nullable() });

/** How to connect to a DATA_DIR's cluster: the superuser's password and the last port. */
export interface ClusterConnection {
  password: Secret;
  port: number | null;
}

/** Reads the recorded connection, or `null` if there is none yet. */
export async function readConnection(dataDir: string): Promise<ClusterConnection | null> {
  const path = clusterPaths(dataDir).connection;
  const content = await readFile(path, 'utf8').catch((error) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (content === null) return null;
  const { password, port } = connectionSchema.parse(JSON.parse(content));
  return { password: new Secret(password), port };
}

/** Records the connection durably, readable only by its owner. */
export async function writeConnection(dataDir: string, connection: ClusterConnection): Promise<void> {
  const { folder, connection: path } = clusterPaths(dataDir);
  const unfinished = `${path}.new`;
  const file = await open(unfinished, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify({ password: connection.password.reveal(), port: connection.port }));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(unfinished, path);
  await syncFolder(folder);
}

/**
 * Creates the cluster if absent, after recording its password. It is created in a temporary folder and moved
 * into place, so that a kill leaves no partial cluster.
 */
export async function ensureCluster(
  dataDir: string,
  programs: PostgresPrograms,
  options: { durable: boolean; log: (line: string) => void },
): Promise<ClusterConnection> {
  const { folder, cluster } = clusterPaths(dataDir);
  const connection = await readConnection(dataDir);
  if (existsSync(join(cluster, 'PG_VERSION'))) {
    if (connection === null)
      throw new Error(`${cluster} has lost its password: ${folder}/connection.json is missing`);
    await giveToAccount(cluster, programs.account);
    return connection;
  }
  const made = connection ?? { password: new Secret(randomBytes(24).toString('base64url')), port: null };
  await writeConnection(dataDir, made);
  options.log('Creating the database (once)');
  await createCluster(folder, cluster, made.password, programs, options.durable);
  return made;
}

async function createCluster(
  folder: string,
  cluster: string,
  password: Secret,
  programs: PostgresPrograms,
  durable: boolean,
): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith('unfinished-'))
      await rm(join(folder, name), { recursive: true, force: true, maxRetries: 5 });
  }
  const unfinished = join(folder, `unfinished-${randomBytes(6).toString('hex')}`);
  await mkdir(unfinished, { mode: 0o700 });
  const passwordFile = join(unfinished, 'password');
  await writeFile(passwordFile, password.reveal(), { mode: 0o600 });
  if (programs.account.kind === 'account') {
    await chown(passwordFile, programs.account.uid, programs.account.gid);
    await chown(unfinished, programs.account.uid, programs.account.gid);
  }
  await runInitdb(programs, unfinished, durable);
  await chmod(join(unfinished, 'cluster'), 0o700);
  await rm(cluster, { recursive: true, force: true });
  await rename(join(unfinished, 'cluster'), cluster);
  await syncFolder(folder);
  await rm(unfinished, { recursive: true });
}

async function runInitdb(programs: PostgresPrograms, folder: string, durable: boolean): Promise<void> {
  const flags = [
    '--username=postgres',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-instructions',
  ];
  if (!durable) flags.push('--no-sync');
  const child = spawnPostgresProgram(
    programs,
    'initdb',
    folder,
    (path) => [...flags, `--pgdata=${path}/cluster`, `--pwfile=${path}/password`],
    { output: 'pipe' },
  );
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const [code, , stderr] = await Promise.all([ended, text(child.stdout!), text(child.stderr!)]);
  if (code !== 0) throw new Error(`initdb failed with ${code}: ${stderr.trim()}`);
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
