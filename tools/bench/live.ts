import { setTimeout as wait } from 'node:timers/promises';
import { createParser } from 'eventsource-parser';
import { sql } from 'kysely';
import type { Database } from '../../src/database/connect.ts';
import type { PagesService } from './pages-service.ts';

export interface LiveResult {
  /** Pages that were open. */
  pages: number;
  changes: number;
  /** Milliseconds from the answer to a change until a page showed it; one for each page and change. */
  seenMs: number[];
  /** Transactions of the database for each change, with all pages open. */
  transactionsPerChange: number;
}

const CHANGES = 20;
/** Long enough that every page is at rest before the next change. */
export const APART_MS = 1_500;
/** As live.js: a page gathers events, and asks half of the time at most. */
const GATHER_MS = 250;
const SHARE = 1 / 2;
const PATHS = ['/', '/agents'];

/**
 * Opens pages as so many browsers would: each has a connection for events, and loads the whole page again
 * after one. Then makes changes, one after the other, and waits until every page shows each.
 */
export async function measureLive(service: PagesService, pages: number): Promise<LiveResult> {
  const closing = new AbortController();
  const open = await Promise.all(
    Array.from({ length: pages }, (_, index) =>
      openPage(service, PATHS[index % PATHS.length]!, closing.signal),
    ),
  );
  await wait(APART_MS);
  const before = await countTransactions(service.database);
  const seenMs: number[] = [];
  for (let change = 0; change < CHANGES; change += 1) {
    const agentId = `live-${change}`;
    await createAgent(service, agentId);
    const made = performance.now();
    const shown = await Promise.all(open.map((page) => page.untilShown(`/agents/${agentId}"`)));
    seenMs.push(...shown.map((at) => at - made));
    await wait(APART_MS);
  }
  const transactions = (await countTransactions(service.database)) - before;
  closing.abort();
  return { pages, changes: CHANGES, seenMs, transactionsPerChange: transactions / CHANGES };
}

/** A page that keeps itself up to date. */
interface OpenPage {
  /** Waits until the page shows the text. @returns when it did, as `performance.now()` says it */
  untilShown(text: string): Promise<number>;
}

async function openPage(service: PagesService, path: string, signal: AbortSignal): Promise<OpenPage> {
  let markup = '';
  let isDue = false;
  let isPending = false;
  let nextAt = 0;
  const looks = new Set<() => void>();
  const refresh = async () => {
    isDue = false;
    const began = performance.now();
    markup = await (await request(service, path, signal)).text();
    for (const look of looks) look();
    nextAt = began + (performance.now() - began) / SHARE;
    isPending = false;
    if (isDue) refreshSoon();
  };
  const refreshSoon = () => {
    isDue = true;
    if (isPending) return;
    isPending = true;
    setTimeout(() => void refresh().catch(() => {}), Math.max(GATHER_MS, nextAt - performance.now()));
  };
  await refresh();
  const events = await request(service, '/api/events', signal);
  void listen(events, refreshSoon).catch(() => {});
  return {
    untilShown: (text) =>
      new Promise((resolve) => {
        const look = () => {
          if (!markup.includes(text)) return;
          looks.delete(look);
          resolve(performance.now());
        };
        looks.add(look);
        look();
      }),
  };
}

async function listen(response: Response, onEvent: () => void): Promise<void> {
  const parser = createParser({ onEvent });
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) parser.feed(chunk);
}

async function request({ url, token }: PagesService, path: string, signal: AbortSignal): Promise<Response> {
  const response = await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` }, signal });
  if (!response.ok) throw new Error(`${path} was answered ${response.status}`);
  return response;
}

/** Orders an agent, which no worker makes. */
export async function createAgent({ url, token }: PagesService, agentId: string): Promise<void> {
  const response = await fetch(`${url}/api/agents`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ agentId, userId: 'bench', region: 'eu-west' }),
  });
  if (!response.ok) throw new Error(`the agent was answered ${response.status}`);
}

/** A session tells its counts at rest, so this is taken while all pages are. */
async function countTransactions(database: Database): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select xact_commit as count from pg_stat_database where datname = current_database()`.execute(database);
  return rows[0]!.count;
}
