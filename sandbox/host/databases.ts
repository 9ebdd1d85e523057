import pg from 'pg';
import type { SandboxConfig } from '../../src/config/config.ts';
import { databaseName, siblingPrefix, siblingUrl, withoutTls } from '../../src/config/database-url.ts';
import { supervise } from '../../src/processes/supervise.ts';
import { type Waiter, waitFor } from '../../src/processes/waiting.ts';
import { ensureDatabase, hostPostgres } from './postgres.ts';

/** The databases of a sandbox installation, all on one server. The addresses contain passwords. */
export interface Databases {
  agents: string;
  pulumi: string;
  sandbox: string;
  /** Creates the databases of Pulumi and the sandbox; `agents` already exists. */
  ensureSiblings(): Promise<void>;
  stop(): Promise<void>;
}

type Say = (line: string) => void;

/** Opens the embedded Postgres of DATA_DIR, or the user's own if DATABASE_URL is set. */
export function openDatabases(config: SandboxConfig, say: Say, signal?: AbortSignal): Promise<Databases> {
  return config.databaseUrl === undefined
    ? embeddedDatabases(config, { say, signal })
    : waitFor('the server of DATABASE_URL', ownDatabases(config.databaseUrl.reveal()), { say, signal });
}

async function embeddedDatabases(config: SandboxConfig, { say, signal }: Waiter): Promise<Databases> {
  // All processes of the installation know the port after the first start, so a restart must use the same.
  let port: number | undefined;
  const start = async () => {
    const started = await hostPostgres({
      dataDir: config.dataDir,
      log: say,
      port,
      signal: port === undefined ? signal : undefined,
    });
    port = started.port;
    return started;
  };
  const postgres = await supervise('Postgres', start, say);
  try {
    const { url, ensureDatabase: ensure } = postgres.current();
    await ensure('agents');
    return {
      agents: url('agents'),
      pulumi: withoutTls(url('pulumi')),
      sandbox: url('sandbox'),
      ensureSiblings: async () => {
        for (const name of ['pulumi', 'sandbox']) await ensure(name);
      },
      stop: postgres.stop,
    };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

async function ownDatabases(databaseUrl: string): Promise<Databases> {
  const agents = new URL(databaseUrl);
  const name = databaseName(agents);
  agents.pathname = `/${encodeURIComponent(name)}`;
  await ensureOnServer(agents, name);
  return {
    agents: agents.href,
    pulumi: siblingUrl(agents.href, 'pulumi'),
    sandbox: siblingUrl(agents.href, 'sandbox'),
    ensureSiblings: async () => {
      for (const suffix of ['pulumi', 'sandbox'] as const) await ensureSibling(agents.href, suffix);
    },
    stop: async () => {},
  };
}

/**
 * Creates the database unless it exists.
 * @throws Error that names the permission that the login of DATABASE_URL lacks
 */
export async function ensureSibling(databaseUrl: string, suffix: 'pulumi' | 'sandbox'): Promise<void> {
  const url = new URL(databaseUrl);
  await ensureOnServer(url, `${siblingPrefix(databaseName(url))}-${suffix}`);
}

/** @throws Error that names the permission that the login of DATABASE_URL lacks */
async function ensureOnServer(agents: URL, name: string): Promise<void> {
  const wanted = new URL(agents);
  wanted.pathname = `/${encodeURIComponent(name)}`;
  if (await exists(wanted.href)) return;
  const admin = new URL(agents);
  admin.pathname = '/postgres';
  try {
    await ensureDatabase(admin.href, name);
  } catch (cause) {
    throw new Error(
      `DATABASE_URL: there is no database ${name} on that server, and its login cannot create it (${(cause as Error).message}). ` +
        `Create it (CREATE DATABASE "${name}"), or allow the login to create databases.`,
      { cause },
    );
  }
}

const NO_SUCH_DATABASE = '3D000';

async function exists(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code === NO_SUCH_DATABASE) return false;
    throw new Error(`DATABASE_URL: the server cannot be used: ${(cause as Error).message}`, { cause });
  } finally {
    await client.end().catch(() => {});
  }
}
