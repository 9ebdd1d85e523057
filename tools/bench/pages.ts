import { sql } from 'kysely';
import type { Database } from '../../src/database/connect.ts';
import { createDatabase, createPool } from '../../src/database/connect.ts';
import { Secret } from '../../src/secret.ts';
import { type BrowserResult, measureInBrowser } from './browser.ts';
import { type FillCounts, fillDatabase, LARGE, LONG_LOG_LINES, SESSION_OF_BUYER } from './filled-database.ts';
import { type LiveResult, measureLive } from './live.ts';
import { type PagesService, startPagesService } from './pages-service.ts';
import { median, quantile } from './statistics.ts';

export interface PageResult {
  name: string;
  medianMs: number;
  slowMs: number;
  /** The first visit over fresh connections: their sessions know nothing of the tables yet. */
  freshMs: number;
  /** Of the answer, uncompressed. */
  bytes: number;
  /** Large tables that it read as a whole, with how often in one visit. */
  fullScans: Record<string, number>;
}

export interface PagesResult {
  filled: FillCounts;
  visits: number;
  pages: PageResult[];
  live: LiveResult;
  /** Undefined where there is no Chromium. */
  browser: BrowserResult | undefined;
}

/** Enough that every connection has seen every statement. */
const WARM_UP = 20;
const VISITS = 100;

const PAGES: readonly [name: string, path: string][] = [
  ['overview', '/'],
  ['agents', '/agents'],
  ['agents: part of an id', '/agents?q=agent-99'],
  ['agents: an address', '/agents?q=192.0.20.77'],
  ['agents: nothing matches', '/agents?q=nothing-like-it'],
  ['agents: failed ones', '/agents?status=failed'],
  ['agents: two filters, by user', '/agents?status=running&region=eu-west&order=user'],
  ['agents: held ones', '/agents?held=yes'],
  ['attention', '/attention'],
  ['one agent', '/agents/agent-9907'],
  ['metrics', '/metrics'],
];

/** The kinds of page that a browser loads; the others are the same with another content. */
const IN_BROWSER = [
  'overview',
  'agents',
  'attention',
  'one agent',
  'an operation, the end of its log',
  'the buyer’s page',
];
const OTHERS: readonly [name: string, path: string][] = [
  ['destroy?', '/agents/agent-9907/destroy'],
  ['the API’s reference', '/reference'],
  ['design', '/design'],
];
const LIVE_PAGES = 50;

/** The operation with the longest log, and the buyer's page of a running agent by its order. */
async function operationPages(database: Database): Promise<[name: string, path: string][]> {
  const longest = await database
    .selectFrom('operation_events')
    .select('operation_id as id')
    .where('sequence', '=', LONG_LOG_LINES)
    .executeTakeFirstOrThrow();
  const path = `/operations/${longest.id}`;
  return [
    ['an operation, the end of its log', path],
    ['an operation, a line in the middle', `${path}?line=${LONG_LOG_LINES / 2}`],
    ['an operation, a search of its log', `${path}?q=line+4999&level=info`],
    ['an operation, its errors', `${path}?level=error`],
    ['the buyer’s page', `/status?session=${SESSION_OF_BUYER}`],
  ];
}

const LARGE_TABLES = [
  'agents',
  'operations',
  'operation_events',
  'stripe_events',
  'orders',
  'subscriptions',
  'changes',
  'audit_log',
  'agent_changes',
];

/** Fills a database of its own and visits every page of the operator, one visit after the other. */
export async function measurePages(deps: {
  folder: string;
  tell: (line: string) => void;
  defer: (close: () => Promise<unknown>) => void;
}): Promise<PagesResult> {
  const { folder, tell, defer } = deps;
  const service = await startPagesService(folder);
  defer(service.stop);
  tell(
    `filling a database: ${Object.entries(LARGE)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
  );
  await fillDatabase(service.database, LARGE);
  const watch = createDatabase(createPool(new Secret(service.databaseUrl), 1, 'bench watch'));
  defer(() => watch.destroy());
  const pages: PageResult[] = [];
  const kinds = [...PAGES, ...(await operationPages(service.database))];
  for (const [name, path] of kinds) {
    pages.push(await measurePage(service, watch, { name, path }));
    tell(`${name}: ${pages.at(-1)!.slowMs.toFixed(0)} ms`);
  }
  tell('loading each kind of page in a browser');
  const browser = await measureInBrowser(service, folder, [
    ...kinds.filter(([name]) => IN_BROWSER.includes(name)),
    ...OTHERS,
  ]);
  tell(`changes on ${LIVE_PAGES} open pages`);
  const live = await measureLive(service, LIVE_PAGES);
  return { filled: LARGE, visits: VISITS, pages, live, browser };
}

async function measurePage(
  service: PagesService,
  watch: Database,
  { name, path }: { name: string; path: string },
): Promise<PageResult> {
  await visit(service, path);
  const before = await countScans(watch);
  const timed = async () => {
    const start = performance.now();
    const bytes = await visit(service, path);
    return { ms: performance.now() - start, bytes };
  };
  const { ms: freshMs, bytes } = await timed();
  for (let count = 0; count < WARM_UP; count += 1) await timed();
  const milliseconds: number[] = [];
  for (let count = 0; count < VISITS; count += 1) milliseconds.push((await timed()).ms);
  const after = await countScans(watch);
  const scans = LARGE_TABLES.map(
    (table) => [table, (after.get(table)! - before.get(table)!) / (1 + WARM_UP + VISITS)] as const,
  );
  return {
    name,
    medianMs: median(milliseconds),
    slowMs: quantile(milliseconds, 0.95),
    freshMs,
    bytes,
    fullScans: Object.fromEntries(scans.filter(([, count]) => count > 0)),
  };
}

async function visit({ url, token }: PagesService, path: string): Promise<number> {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const body = await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`${path} was answered ${response.status}`);
  return body.byteLength;
}

/**
 * How often each table was read as a whole. A session tells what it has counted when it ends, so all are
 * ended.
 */
async function countScans(watch: Database): Promise<Map<string, number>> {
  const others = sql`from pg_stat_activity where application_name = 'bench pages' and datname = current_database()`;
  await sql`select pg_terminate_backend(pid) ${others}`.execute(watch);
  for (;;) {
    const { rows } = await sql<{ count: number }>`select count(*) as count ${others}`.execute(watch);
    if (rows[0]!.count === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { rows } = await sql<{ table: string; scans: number }>`
    select relname as table, seq_scan as scans from pg_stat_user_tables where schemaname = 'public'`.execute(
    watch,
  );
  return new Map(rows.map(({ table, scans }) => [table, scans]));
}
