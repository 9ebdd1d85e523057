import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import { createApp } from '../../src/app/api.ts';
import { createDatabase, createPool, type Database } from '../../src/database/connect.ts';
import { migrate } from '../../src/database/migrations.ts';
import { Keyring } from '../../src/keys/keyring.ts';
import { createLog } from '../../src/log.ts';
import { createEventHub } from '../../src/operations/events/event-hub.ts';
import { startQueue } from '../../src/queue/queue.ts';
import { Secret } from '../../src/secret.ts';

/** The service's HTTP side alone, on a Postgres of its own: no worker changes what is measured. */
export interface PagesService {
  url: string;
  /** The operator's token. */
  token: string;
  database: Database;
  databaseUrl: string;
  stop(): Promise<void>;
}

const DATABASE = 'pages';
/** As many connections as a process of the service has. */
const CONNECTIONS = 10;

/** Starts it with its files in this folder. `port` 0: any. */
export async function startPagesService(folder: string, port = 0): Promise<PagesService> {
  const postgres = await hostPostgres({ dataDir: folder });
  await postgres.ensureDatabase(DATABASE);
  const url = new Secret(postgres.url(DATABASE));
  const database = createDatabase(createPool(url, CONNECTIONS, 'bench pages'));
  await migrate(database);
  const log = createLog(join(folder, 'pages.log'));
  const queue = await startQueue({ url, log });
  const events = createEventHub({ url, log });
  const stopping = new AbortController();
  const apiToken = new Secret('bench-token');
  const app = createApp({
    database,
    queue,
    log,
    events,
    apiToken,
    keyring: new Keyring(new Secret('bench')),
    webhookSecrets: [new Secret('whsec_bench')],
    mode: 'sandbox',
    publicUrl: 'http://127.0.0.1:8080',
    machines: 'simulated',
    checkoutUrl: 'http://127.0.0.1:8081/checkout',
    stopping: stopping.signal,
  });
  const server = app.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: apiToken.reveal(),
    database,
    databaseUrl: url.reveal(),
    stop: async () => {
      stopping.abort();
      server.closeAllConnections();
      server.close();
      await events.close();
      await queue.stop();
      await database.destroy();
      await postgres.stop();
    },
  };
}
