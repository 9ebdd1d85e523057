import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../sandbox/host/free-port.ts';
import { answers } from '../../sandbox/host/postgres-server.ts';
import {
  createDatabase as createKysely,
  createPool,
  isDatabaseUnavailable,
} from '../../src/database/connect.ts';
import { createEventHub } from '../../src/operations/events/event-hub.ts';
import { EVENTS_CHANNEL } from '../../src/operations/events/events.ts';
import { createLoginFence } from '../../src/pulumi/fence.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { eventually } from '../support/eventually.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';

const home = process.env.AGENT_STACKS_PGBOUNCER || undefined;
const lacking = home === undefined ? 'PgBouncer could not be had: it comes by apt-get' : undefined;
const log = pino({ level: 'silent' });

let database: TestDatabase;
let url: Secret;
let stop: () => Promise<void>;

/** As docs/operating.md says. */
const settings = (server: URL, folder: string, port: number) => `
[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${folder}/users
auth_user = ${server.username}
auth_query = SELECT usename, passwd FROM pg_shadow WHERE usename = $1
pool_mode = session
ignore_startup_parameters = extra_float_digits
${process.getuid?.() === 0 ? 'user = nobody' : ''}
`;

beforeAll(async () => {
  if (home === undefined) return;
  database = await createDatabase();
  const server = new URL(database.url);
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-pgbouncer-'));
  chmodSync(folder, 0o755);
  const port = await freePort(null);
  writeFileSync(join(folder, 'users'), `"${server.username}" "${decodeURIComponent(server.password)}"\n`);
  writeFileSync(join(folder, 'settings.ini'), settings(server, folder, port));
  const libraries = readdirSync(join(home, 'usr/lib')).map((name) => join(home, 'usr/lib', name));
  const child = spawn(join(home, 'usr/sbin/pgbouncer'), [join(folder, 'settings.ini')], {
    env: { ...process.env, LD_LIBRARY_PATH: libraries.join(':') },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  stop = async () => {
    child.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true });
    await database.drop();
  };
  const through = new URL(database.url);
  through.host = `127.0.0.1:${port}`;
  url = new Secret(through.href);
  await eventually('PgBouncer answers', async () => (await answers(through.href)) === 'yes', {
    withinSeconds: 10,
  });
}, 30_000);
afterAll(() => stop?.());
beforeEach(({ skip }) => skip(lacking !== undefined, lacking));

test('a session through PgBouncer has the limits that it was given', async () => {
  const pool = createPool(url, 2, 'test');
  const { rows } = await pool.query('show idle_in_transaction_session_timeout');
  expect(rows).toEqual([{ idle_in_transaction_session_timeout: '15s' }]);
  await pool.end();
});

test('notifications and the queue work through it', async () => {
  const seen: (string | undefined)[] = [];
  const events = createEventHub({ url, log });
  events.subscribe('an-operation', (id) => seen.push(id));
  // The first call says that the connection listens.
  await expect.poll(() => seen.length, { timeout: 10_000 }).toBe(1);
  const pool = createPool(url, 2, 'test');
  await pool.query('select pg_notify($1, $2)', [EVENTS_CHANNEL, 'an-operation']);
  await expect.poll(() => seen.at(-1)).toBe('an-operation');
  await events.close();

  const kysely = createKysely(pool);
  const queue = await startQueue({ url, log });
  let woken = 0;
  await queue.work(1, async () => {
    woken += 1;
  });
  await kysely.transaction().execute((trx) => queue.announce(trx, { operationId: 'one', agentId: 'a' }));
  await expect.poll(() => woken, { timeout: 10_000 }).toBe(1);
  await queue.stop();
  await kysely.destroy();
}, 40_000);

test('an attempt’s login works through it, for Pulumi’s CLI too, and no longer after the attempt', async () => {
  const pool = createPool(url, 4, 'test');
  const fence = await createLoginFence({ pool, backendUrl: url, log });
  expect(fence.isHard).toBe(true);
  const entry = await fence.enter({ agentId: 'agent', operationId: 'operation', attempt: 1 });
  const own = createPool(entry.backendUrl, 1, 'test');
  await own.query('select * from pulumi_state');
  if (process.env.AGENT_STACKS_PULUMI) {
    const backend = new URL(entry.backendUrl.reveal());
    backend.searchParams.set('sslmode', 'disable');
    const { stdout } = await promisify(execFile)(process.env.AGENT_STACKS_PULUMI, ['stack', 'ls', '--all'], {
      env: {
        ...{ HOME: process.env.HOME, PATH: process.env.PATH, PULUMI_SKIP_UPDATE_CHECK: 'true' },
        PULUMI_BACKEND_URL: backend.href,
      },
    });
    expect(stdout).toContain('NAME');
  }
  await entry.leave();
  const after = await own.query('select * from pulumi_state').catch((error: unknown) => error);
  expect(isDatabaseUnavailable(after)).toBe(true);
  await own.end();
  await pool.end();
}, 40_000);
