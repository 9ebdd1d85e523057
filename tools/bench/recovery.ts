import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import { buyAtCheckout } from '../checkout.ts';
import { type AgentWatch, openAgentWatch } from './agent-watch.ts';
import { cloudCalls } from './cloud-calls.ts';
import type { Installation } from './installation.ts';
import { type ServiceProcess, startService } from './service-process.ts';

export interface RecoveryResult {
  agents: number;
  machines: 'simulated' | 'real';
  /** Until the rows were there, and until every stack was imported. */
  rowsSeconds: number;
  stacksSeconds: number;
  /** Until each had answered healthy. */
  healthySeconds: number;
}

interface Options {
  agents: number;
  machines: RecoveryResult['machines'];
  environment: Record<string, string>;
  defer: (close: () => Promise<unknown>) => void;
  tell: (line: string) => void;
}

/**
 * Measures a rebuild from the clouds after both databases were dropped.
 * @throws Error if a server was made or deleted, a preview is not clean, or billing does not go on
 */
export async function measureRecovery(lost: Installation, options: Options): Promise<RecoveryResult> {
  const { agents, machines, environment, defer, tell } = options;
  await buyAgents(lost, options);
  const before = await listServers(lost.service);
  await lost.watch.close();
  await lost.service.stop();
  await dropDatabases(lost.dataDir);
  tell('both databases are dropped: starting on empty ones');
  const started = await startService({ dataDir: lost.dataDir, role: 'all', environment, defer });
  const watch = await openAgentWatch(started.sandbox.databaseUrl);
  defer(watch.close);
  const all = agents + 1;
  const seconds = await rebuild({ started, watch }, all);
  tell(`${all} agents are healthy again after ${seconds.healthySeconds.toFixed(0)} s: comparing`);
  if ((await listServers(started)) !== before) throw new Error('A server was made, deleted or replaced');
  await checkPreviews(lost.dataDir, environment, await listAgents(watch));
  await checkBilling({ started, watch }, all);
  if ((await listServers(started)) !== before) throw new Error('A server was made, deleted or replaced');
  await started.stop();
  return { agents: all, machines, ...seconds };
}

/** Besides the demo order's agent. Returns once what a rebuild needs is kept. */
async function buyAgents({ service, watch }: Installation, { agents, tell }: Options): Promise<void> {
  tell(`buying ${agents} agents`);
  for (let number = 1; number <= agents; number += 1) {
    const order = { agentId: `lost-${number}`, userId: 'bench', region: 'eu-central' };
    await buyAtCheckout(service.sandbox.stripeApiUrl, order);
  }
  const kept = `select count(*)::int as count from agents a join cloud_records r on r.owner_id = a.agent_id
    where a.status = 'running' and r.seen >= a.updated_at`;
  await until(async () => (await count(watch, kept)) === agents + 1, 'records');
}

interface Rebuilding {
  started: ServiceProcess;
  watch: AgentWatch;
}

async function rebuild(
  { started, watch }: Rebuilding,
  all: number,
): Promise<Pick<RecoveryResult, 'rowsSeconds' | 'stacksSeconds' | 'healthySeconds'>> {
  const needed = "select count(*)::int as count from installation where recovery = 'needed'";
  await until(async () => (await count(watch, needed)) === 1, 'the loss to be noticed');
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  await post(started, '/api/rebuild-state', { apply: true });
  const rowsSeconds = seconds();
  const imported =
    "select count(*)::int as count from operations where kind = 'import' and status = 'succeeded'";
  await until(async () => (await count(watch, imported)) === all, 'the imports');
  const stacksSeconds = seconds();
  const healthy = "select count(*)::int as count from agents where health = 'healthy'";
  await until(async () => (await count(watch, healthy)) === all, 'healthy answers');
  return { rowsSeconds, stacksSeconds, healthySeconds: seconds() };
}

const run = promisify(execFile);
const PULUMI = fileURLToPath(new URL('../../src/cli/pulumi.ts', import.meta.url));
const AT_ONCE = 2;

/** @throws Error if a stack differs from its program or from what exists */
async function checkPreviews(dataDir: string, environment: Record<string, string>, agentIds: string[]) {
  const env = { ...environment, MODE: 'sandbox', DATA_DIR: dataDir };
  const options = ['--refresh', '--expect-no-changes', '--non-interactive'];
  const left = [...agentIds];
  const next = async () => {
    for (let agentId = left.pop(); agentId !== undefined; agentId = left.pop())
      await run(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', PULUMI, 'preview', '-s', `agent-${agentId}`, ...options],
        { env, maxBuffer: 10_000_000 },
      );
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

/** @throws Error if a subscription is not followed: each is known as paid, and an end of one is noticed */
async function checkBilling({ started, watch }: Rebuilding, all: number): Promise<void> {
  const paid = "select count(*)::int as count from subscriptions where governs and state = 'paid'";
  await until(async () => (await count(watch, paid)) === all, 'the subscriptions');
  const [one] = await watch.rows<{ id: string }>('select subscription_id as id from subscriptions limit 1');
  const { stripeApiUrl, stripeApiKey } = started.sandbox;
  const headers = { authorization: `Bearer ${stripeApiKey}` };
  await fetch(`${stripeApiUrl}/v1/subscriptions/${one!.id}`, { method: 'DELETE', headers });
  await until(async () => (await count(watch, paid)) === all - 1, 'the end of a subscription');
}

const listAgents = async (watch: AgentWatch): Promise<string[]> =>
  (await watch.rows<{ id: string }>('select agent_id as id from agents')).map(({ id }) => id);

const count = async (watch: AgentWatch, statement: string): Promise<number> =>
  (await watch.rows<{ count: number }>(statement))[0]!.count;

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
