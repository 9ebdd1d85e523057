import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openDatabases } from '../../../sandbox/host/databases.ts';
import { findHostedPostgres, type HostedPostgres, hostPostgres } from '../../../sandbox/host/postgres.ts';
import type { SandboxConfig } from '../../../src/config/config.ts';
import { processIdentity } from '../../../src/processes/alive.mjs';

let dataDir: string;
let cleanUp: (() => Promise<unknown>)[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'hosted postgres '));
  const folder = dataDir;
  cleanUp = [() => rm(folder, { recursive: true })];
});

afterEach(async () => {
  for (const step of cleanUp.reverse()) await step();
});

async function host(options: Partial<Parameters<typeof hostPostgres>[0]> = {}): Promise<HostedPostgres> {
  const postgres = await hostPostgres({ dataDir, durable: false, ...options });
  cleanUp.push(() => postgres.stop());
  return postgres;
}

async function query(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

function startHostProcess(): ChildProcess & { stdout: NodeJS.ReadableStream } {
  const script = join(import.meta.dirname, 'processes', 'host-postgres.ts');
  const child = spawn(process.execPath, [script, dataDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanUp.push(async () => child.kill('SIGKILL'));
  return child;
}

test('a restart keeps data, password and port', async () => {
  const first = await host({ durable: true });
  await first.ensureDatabase('service');
  await query(first.url('service'), 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  expect(await first.exited).toMatchObject({ code: 0, expected: true });

  const second = await host({ durable: true });
  expect(second.url('service')).toBe(first.url('service'));
  expect(await query(second.url('service'), 'SELECT * FROM kept')).toEqual([{ answer: 42 }]);
  const [settings] = await query(
    second.adminUrl,
    "SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS commit, " +
      "current_setting('server_encoding') AS encoding, datcollate AS collation, " +
      "current_setting('listen_addresses') AS addresses FROM pg_database WHERE datname = 'service'",
  );
  expect(settings).toEqual({
    fsync: 'on',
    commit: 'on',
    encoding: 'UTF8',
    collation: 'C',
    addresses: '127.0.0.1',
  });
});

test('its password is required, and readable by the owner only', async () => {
  const postgres = await host();
  const stranger = new URL(postgres.adminUrl);
  stranger.password = 'guessed';
  await expect(query(stranger.href, 'SELECT 1')).rejects.toThrow(/password authentication failed/);
  const path = join(dataDir, 'postgres', 'connection.json');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect((await stat(join(dataDir, 'postgres'))).mode & 0o777).toBe(0o700);
});

test('two concurrent callers can create the same database', async () => {
  const postgres = await host();
  await Promise.all(['a "b"', 'a "b"', 'a "b"'].map((name) => postgres.ensureDatabase(name)));
  expect(await query(postgres.url('a "b"'), 'SELECT current_database() AS name')).toEqual([
    { name: 'a "b"' },
  ]);
});

test('a server left by a killed host is found by others, and stopped by the next host', async () => {
  const child = startHostProcess();
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  const left = JSON.parse(line) as { pid: number; adminUrl: string };
  await query(left.adminUrl, 'CREATE TABLE kept AS SELECT 1 AS answer');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await findHostedPostgres({ dataDir })).toMatchObject({ pid: left.pid, adminUrl: left.adminUrl });

  const log = vi.fn();
  const next = await host({ log });
  expect(processIdentity(left.pid)).toBeNull();
  expect(log.mock.calls.flat().join()).toContain(`process ${left.pid}`);
  expect(await query(next.adminUrl, 'SELECT * FROM kept')).toEqual([{ answer: 1 }]);
  await next.stop();
  expect(await findHostedPostgres({ dataDir })).toBeNull();
});

test('a kill during the creation of the cluster does not block the next start', async () => {
  const child = startHostProcess();
  const folder = join(dataDir, 'postgres');
  const entries = async () => (existsSync(folder) ? await readdir(folder) : []);
  await vi.waitUntil(async () => (await entries()).some((name) => name.startsWith('unfinished-')), {
    timeout: 10_000,
    interval: 5,
  });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const postgres = await host();
  expect(await query(postgres.adminUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  expect((await entries()).filter((name) => name.startsWith('unfinished-'))).toEqual([]);
});

test('a server’s death is noticed, and a stale pid file with a stranger’s pid does not block the next start', async () => {
  const first = await host();
  await query(first.adminUrl, 'CREATE TABLE kept AS SELECT 1 AS answer');
  process.kill(first.pid, 'SIGKILL');
  expect(await first.exited).toMatchObject({ signal: 'SIGKILL', expected: false });

  // After a reboot the pid may belong to any process. Here it is this one, which must survive.
  const pidFile = join(dataDir, 'postgres', 'cluster', 'postmaster.pid');
  const lines = (await readFile(pidFile, 'utf8')).split('\n');
  await writeFile(pidFile, [process.pid, ...lines.slice(1)].join('\n'));
  expect(await findHostedPostgres({ dataDir })).toBeNull();
  const second = await host();
  expect(await query(second.adminUrl, 'SELECT * FROM kept')).toEqual([{ answer: 1 }]);
});

test('a port that another program has taken is replaced', async () => {
  const first = await host();
  await first.stop();
  const squatter = createServer().listen(first.port, '127.0.0.1');
  await once(squatter, 'listening');
  cleanUp.push(async () => squatter.close());
  const second = await host();
  expect(second.port).not.toBe((squatter.address() as AddressInfo).port);
  expect(await query(second.adminUrl, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('as root it runs in a folder that only root can enter, with either method, on the same data', async ({
  skip,
}) => {
  skip(process.getuid?.() !== 0, 'needs root');
  const outer = await mkdtemp(join(homedir(), 'only root '));
  cleanUp.push(() => rm(outer, { recursive: true }));
  await chmod(outer, 0o700);
  dataDir = join(outer, 'a folder', '.data');
  await mkdir(dataDir, { recursive: true });

  const first = await host({ only: 'account' });
  await query(first.adminUrl, 'CREATE TABLE kept AS SELECT 1 AS answer');
  expect((await stat(join(dataDir, 'postgres', 'cluster'))).uid).not.toBe(0);
  await first.stop();
  const second = await host();
  expect(await query(second.adminUrl, 'SELECT * FROM kept')).toEqual([{ answer: 1 }]);
  await second.stop();
  const third = await host({ only: 'account' });
  expect(await query(third.adminUrl, 'SELECT * FROM kept')).toEqual([{ answer: 1 }]);
});

test('a port that clients already know is waited for, however long another program has it', async () => {
  const { port } = await (await host()).stop().then(() => readConnectionFile());
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  const starting = host({ port });
  const log = join(dataDir, 'postgres', 'server.log');
  await vi.waitUntil(
    async () => (await readFile(log, 'utf8')).includes('could not create any TCP/IP sockets'),
    {
      timeout: 10_000,
      interval: 5,
    },
  );
  other.close();
  expect((await starting).port).toBe(port);
});

test('a server killed under its clients comes back at the same address', { timeout: 120_000 }, async () => {
  const config = { databaseUrl: undefined, dataDir } as SandboxConfig;
  const databases = await openDatabases(config, () => {});
  cleanUp.push(() => databases.stop());
  for (let round = 0; round < 3; round += 1) {
    // Slow sessions keep the dead server's shared memory for a moment.
    const clients = Array.from({ length: 20 }, () => new pg.Client({ connectionString: databases.agents }));
    for (const client of clients) client.on('error', () => {});
    await Promise.all(clients.map((client) => client.connect()));
    const { pid } = (await findHostedPostgres({ dataDir }))!;
    process.kill(pid, 'SIGKILL');
    await vi.waitUntil(
      () =>
        query(databases.agents, 'SELECT 1').then(
          () => true,
          () => false,
        ),
      {
        timeout: 30_000,
        interval: 50,
      },
    );
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  }
});

async function readConnectionFile(): Promise<{ port: number }> {
  return JSON.parse(await readFile(join(dataDir, 'postgres', 'connection.json'), 'utf8'));
}
