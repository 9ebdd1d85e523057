import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../sandbox/host/free-port.ts';
import { eventually } from './eventually.ts';

/** The folder with its package unpacked; empty where there is none. */
const HOME = process.env.AGENT_STACKS_PGBOUNCER ?? '';

export const hasPgbouncer = (): boolean => HOME !== '';

/** Its own libraries are beside it. */
function libraryPath(): string {
  const libraries = join(HOME, 'usr/lib');
  return readdirSync(libraries)
    .map((name) => join(libraries, name))
    .join(':');
}

/** Starts a real PgBouncer in front of a server. @returns the address of the same database through it */
export async function startPgbouncer(
  databaseUrl: string,
  mode: 'transaction' | 'session',
): Promise<{ url: string; stop(): Promise<void> }> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const folder = await mkdtemp(join(tmpdir(), 'agent-stacks-pgbouncer-'));
  // It refuses to run as root, and reads this as the user that it becomes.
  await chmod(folder, 0o755);
  const listens = await freePort(null);
  const file = join(folder, 'pgbouncer.ini');
  const server = `host=${hostname} port=${port} user=${decodeURIComponent(username)} password=${decodeURIComponent(password)}`;
  await writeFile(
    file,
    `[databases]
* = ${server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listens}
unix_socket_dir =
auth_type = any
pool_mode = ${mode}
ignore_startup_parameters = extra_float_digits,idle_in_transaction_session_timeout
`,
  );
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn(join(HOME, 'usr/sbin/pgbouncer'), ['-q', ...user, file], {
    env: { ...process.env, LD_LIBRARY_PATH: libraryPath() },
    stdio: 'ignore',
  });
  const url = new URL(databaseUrl);
  url.port = String(listens);
  await eventually('PgBouncer answers', () => answers(url.href), { withinSeconds: 20 });
  return {
    url: url.href,
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}
