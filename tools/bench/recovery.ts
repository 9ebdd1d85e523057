import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import { openAgentWatch } from './agent-watch.ts';
import { cloudCalls } from './cloud-calls.ts';
import type { Installation } from './installation.ts';
import { type ServiceProcess, startService } from './service-process.ts';

export interface RecoveryResult {
  agents: number;
  /** Until the rows were there, and until every stack was imported. */
  rowsSeconds: number;
  stacksSeconds: number;
  /** Until each had answered healthy. */
  healthySeconds: number;
}

interface Options {
  agents: number;
  environment: Record<string, string>;
  defer: (close: () => Promise<unknown>) => void;
  tell: (line: string) => void;
}

/**
 * Measures a rebuild from the clouds after both databases were dropped. No server may be made or deleted, or
 * this fails.
 */
export async function measureRecovery(
  { service, watch, dataDir }: Installation,
  { agents, environment, defer, tell }: Options,
): Promise<RecoveryResult> {
  tell(`making ${agents} agents`);
  for (let count = 1; count <= agents; count += 1)
    await post(service, '/api/agents', { agentId: `lost-${count}`, userId: 'bench', region: 'eu-central' });
  const kept = `select count(*)::int as count from agents a join cloud_records r on r.owner_id = a.agent_id
    where a.status = 'running' and r.seen >= a.updated_at`;
  const all = agents + 1;
  await until(async () => (await watch.rows<{ count: number }>(kept))[0]!.count === all, 'records');
  const before = await listServers(service);
  await watch.close();
  await service.stop();
  await dropDatabases(dataDir);
  tell('both databases are dropped: starting on empty ones');
  const started = await startService({ dataDir, role: 'all', environment, defer });
  const again = await openAgentWatch(started.sandbox.databaseUrl);
  defer(again.close);
  const count = async (statement: string) => (await again.rows<{ count: number }>(statement))[0]!.count;
  await until(
    async () =>
      (await count("select count(*)::int as count from installation where recovery = 'needed'")) === 1,
    'the loss to be noticed',
  );
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  await post(started, '/api/rebuild-state', { apply: true });
  const rowsSeconds = seconds();
  const imported =
    "select count(*)::int as count from operations where kind = 'import' and status = 'succeeded'";
  await until(async () => (await count(imported)) === all, 'the imports');
  const stacksSeconds = seconds();
  const healthy = "select count(*)::int as count from agents where health = 'healthy'";
  await until(async () => (await count(healthy)) === all, 'healthy answers');
  const healthySeconds = seconds();
  if ((await listServers(started)) !== before) throw new Error('A server was made, deleted or replaced');
  await started.stop();
  return { agents: all, rowsSeconds, stacksSeconds, healthySeconds };
}

async function post({ url, sandbox }: ServiceProcess, path: string, body: object): Promise<void> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sandbox.apiToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
}

/** All servers' ids and times of creation, as text. */
async function listServers({ sandbox }: ServiceProcess): Promise<string> {
  const calls = cloudCalls(sandbox);
  const found: unknown[] = [];
  for (let page: number | null = 1; page !== null; ) {
    const { servers, meta } = (await calls.hetzner('GET', `/servers?per_page=50&page=${page}`)) as {
      servers: { id: number; created: string }[];
      meta: { pagination: { next_page: number | null } };
    };
    found.push(...servers.map(({ id, created }) => [id, created]));
    page = meta.pagination.next_page;
  }
  return JSON.stringify(found);
}

async function dropDatabases(dataDir: string): Promise<void> {
  const postgres = await hostPostgres({ dataDir });
  const client = new pg.Client({ connectionString: postgres.adminUrl });
  try {
    await client.connect();
    for (const name of ['agents', 'pulumi']) await client.query(`drop database ${name} with (force)`);
  } finally {
    await client.end();
    await postgres.stop();
  }
}

const LIMIT_MS = 30 * 60_000;

async function until(done: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`Waited too long for ${what}`);
    await sleep(250);
  }
}
