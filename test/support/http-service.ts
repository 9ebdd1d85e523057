import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { createApp, type HttpDeps } from '../../src/app/api.ts';
import { createDatabase as createConnection, createPool, type Database } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { createEventHub } from '../../src/operations/events/event-hub.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';
import { createDatabase } from './postgres.ts';

export const API_TOKEN = 'operator-token-for-tests';
export const WEBHOOK_SECRET = 'whsec_current';
export const OLD_WEBHOOK_SECRET = 'whsec_rolling_out';

/** The passphrase of the service. */
export const KEYRING = new Keyring(new Secret('passphrase-for-tests'));

/** The service's HTTP side on its own port, with its own database and queue. */
export interface TestService {
  url: string;
  database: Database;
  deps: HttpDeps;
  /** Every line that the service logged, parsed. */
  logged: Record<string, unknown>[];
  /** Calls a route with the operator's token, unless headers say otherwise. */
  ask(path: string, init?: RequestInit & { json?: unknown }): Promise<Response>;
  databaseUrl: string;
  /** Cuts every client connection, as a restart would. */
  hangUp(): void;
  stop(): Promise<void>;
}

export async function startService(
  overrides: Partial<HttpDeps> | ((database: Database) => Partial<HttpDeps>) = {},
  { databaseUrl }: { databaseUrl?: (url: string) => Promise<string> } = {},
): Promise<TestService> {
  const testDatabase = await createDatabase('service');
  const url = new Secret((await databaseUrl?.(testDatabase.url)) ?? testDatabase.url);
  const pool = createPool(url, 8, 'http test');
  const database = createConnection(pool);
  await migrate(database);
  const logged: Record<string, unknown>[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => logged.push(JSON.parse(line)) });
  const queue = await startQueue({ url, log });
  const events = createEventHub({ url, log });
  const stopping = new AbortController();
  const deps: HttpDeps = {
    database,
    queue,
    log,
    events,
    apiToken: new Secret(API_TOKEN),
    keyring: KEYRING,
    webhookSecrets: [new Secret(WEBHOOK_SECRET), new Secret(OLD_WEBHOOK_SECRET)],
    mode: 'sandbox',
    publicUrl: 'http://127.0.0.1:8080',
    machines: 'simulated',
    stopping: stopping.signal,
    ...(typeof overrides === 'function' ? overrides(database) : overrides),
  };
  const server = await listen(deps);
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: address,
    database,
    deps,
    logged,
    databaseUrl: testDatabase.url,
    ask: (path, { json, ...init } = {}) => ask(`${address}${path}`, json, init),
    hangUp: () => server.closeAllConnections(),
    stop: async () => {
      stopping.abort();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await events.close();
      await queue.stop();
      await database.destroy();
      await testDatabase.drop();
    },
  };
}

function listen(deps: HttpDeps): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createApp(deps).listen(0, '127.0.0.1', (error) =>
      error ? reject(error) : resolve(server),
    );
  });
}

function ask(url: string, json: unknown, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has('authorization') && !headers.has('cookie'))
    headers.set('authorization', `Bearer ${API_TOKEN}`);
  if (json === undefined) return fetch(url, { redirect: 'manual', ...init, headers });
  if (!headers.has('content-type')) headers.set('content-type', 'application/json');
  return fetch(url, { method: 'POST', redirect: 'manual', ...init, headers, body: JSON.stringify(json) });
}
