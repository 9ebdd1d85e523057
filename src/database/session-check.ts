import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type { Secret } from '../secret.ts';

/** What a login may do on its server, and how much room the server has. */
export interface ServerFacts {
  /** As `150004` for 15.4. */
  version: number;
  login: string;
  mayCreateRoles: boolean;
  mayCreateDatabases: boolean;
  /** Connections that this login can still open. */
  connectionsLeft: number;
}

const CONNECT_MS = 5_000;
/** How long a notification may take that travels within a server. */
const NOTIFICATION_MS = 2_000;
/** A pooler may have several idle sessions: one of these connections gets the listener's. */
const OTHERS = 4;

/**
 * Opens a connection that asks for nothing special. The service's own pool sets parameters, which some
 * poolers refuse before anything can be found out about them.
 * @throws Error of the driver
 */
async function openPlain(url: Secret): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url.reveal(),
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: CONNECT_MS,
    application_name: 'agent-stacks doctor',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

async function withPlain<T>(
  url: Secret,
  count: number,
  work: (clients: pg.Client[]) => Promise<T>,
): Promise<T> {
  const clients: pg.Client[] = [];
  try {
    for (let at = 0; at < count; at += 1) clients.push(await openPlain(url));
    return await work(clients);
  } finally {
    await Promise.all(clients.map((client) => client.end().catch(() => {})));
  }
}

/** @throws Error of the driver if the server cannot be used */
export function readServerFacts(url: Secret): Promise<ServerFacts> {
  return withPlain(url, 1, async ([client]) => {
    const { rows } = await client!.query<ServerFacts>(FACTS);
    return rows[0]!;
  });
}

const FACTS = `
  select current_setting('server_version_num')::int as version, current_user as login,
    rolsuper or rolcreaterole as "mayCreateRoles", rolsuper or rolcreatedb as "mayCreateDatabases",
    least(
      current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
        - (select count(*) from pg_stat_activity where backend_type = 'client backend'),
      case when rolconnlimit < 0 then null else rolconnlimit
        - (select count(*) from pg_stat_activity where usename = current_user) end)::int as "connectionsLeft"
  from pg_roles where rolname = current_user`;

/**
 * Whether every connection has a session of its own for as long as it lasts. Behind a pooler in transaction
 * mode it has not: another connection gets the session between two statements, and what LISTEN waits for
 * never arrives.
 * @throws Error of the driver
 */
export function keepsSessions(url: Secret): Promise<boolean> {
  return withPlain(url, 1 + OTHERS, async ([listener, ...others]) => {
    const channel = `agent_stacks_${randomUUID().replaceAll('-', '')}`;
    const pid = await backendOf(listener!);
    await listener!.query(`listen ${channel}`);
    // An open transaction holds its session, so each of these has another one.
    for (const other of others) await other.query('begin');
    const taken = await Promise.all(others.map(backendOf));
    if (taken.includes(pid) || (await backendOf(listener!)) !== pid) return false;
    const heard = untilNotified(listener!, channel);
    for (const other of others) await other.query('rollback');
    await others[0]!.query(`notify ${channel}`);
    return heard;
  });
}

async function backendOf(client: pg.Client): Promise<number> {
  return (await client.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]!.pid;
}

async function untilNotified(client: pg.Client, channel: string): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), NOTIFICATION_MS);
    client.on('notification', (message) => {
      if (message.channel !== channel) return;
      clearTimeout(timer);
      resolve(true);
    });
  });
}

/** @returns whether there is a database of this name on the server. @throws Error of the driver */
export function databaseExists(url: Secret, name: string): Promise<boolean> {
  return withPlain(url, 1, async ([client]) => {
    const { rowCount } = await client!.query('select from pg_database where datname = $1', [name]);
    return rowCount === 1;
  });
}
