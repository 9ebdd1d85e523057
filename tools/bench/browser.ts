import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import { APART_MS, createAgent } from './live.ts';
import type { PagesService } from './pages-service.ts';
import { median } from './statistics.ts';

/** One kind of page, as a browser loads it with an empty cache. */
export interface BrowserPage {
  name: string;
  htmlBytes: number;
  /** Of everything that was loaded, with headers. */
  transferredBytes: number;
  requests: number;
  /** From the beginning of the navigation, in milliseconds. */
  contentLoadedMs: number;
  firstPaintMs: number;
  /** How far things moved that were shown already, the first update included; 0 is none, 0.1 is good. */
  layoutShift: number;
}

export interface BrowserResult {
  visits: number;
  pages: BrowserPage[];
  /** Milliseconds until each of so many tabs of one browser showed a change. */
  tabs: { count: number; seenMs: number[] };
}

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
const VISITS = 5;
/** More than the six connections that a browser has to one site. */
const TABS = 8;
const TAB_CHANGES = 5;

/** Loads each page in Chromium; undefined where there is none. */
export async function measureInBrowser(
  service: PagesService,
  folder: string,
  pages: readonly (readonly [name: string, path: string])[],
): Promise<BrowserResult | undefined> {
  if (!existsSync(CHROMIUM)) return undefined;
  const context = await chromium.launchPersistentContext(join(folder, 'chromium'), {
    executablePath: CHROMIUM,
    headless: true,
    args: FLAGS,
    viewport: { width: 1280, height: 900 },
  });
  try {
    await signIn(context, service);
    const measured: BrowserPage[] = [];
    for (const [name, path] of pages) measured.push(await measure(context, name, `${service.url}${path}`));
    return { visits: VISITS, pages: measured, tabs: await measureTabs(context, service) };
  } finally {
    await context.close();
  }
}

async function signIn(context: BrowserContext, { url, token }: PagesService): Promise<void> {
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel('Token').fill(token);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
  await page.close();
}

async function measure(context: BrowserContext, name: string, url: string): Promise<BrowserPage> {
  const visits: Omit<BrowserPage, 'name'>[] = [];
  for (let count = 0; count < VISITS; count += 1) visits.push(await visit(context, url));
  const middle = (key: keyof Omit<BrowserPage, 'name'>) => median(visits.map((one) => one[key]));
  return {
    name,
    htmlBytes: middle('htmlBytes'),
    transferredBytes: middle('transferredBytes'),
    requests: middle('requests'),
    contentLoadedMs: middle('contentLoadedMs'),
    firstPaintMs: middle('firstPaintMs'),
    layoutShift: Math.max(...visits.map(({ layoutShift }) => layoutShift)),
  };
}

/** A page listens, and asks for itself again once it does: what that moves counts too. */
const SETTLED_MS = 800;

async function visit(context: BrowserContext, url: string): Promise<Omit<BrowserPage, 'name'>> {
  const page = await context.newPage();
  try {
    const session = await context.newCDPSession(page);
    await session.send('Network.clearBrowserCache');
    await page.goto(url, { waitUntil: 'load' });
    await page.waitForTimeout(SETTLED_MS);
    return await page.evaluate<Omit<BrowserPage, 'name'>>(FIGURES);
  } finally {
    await page.close();
  }
}

/** Evaluated in the page. What it asks for after it was loaded is no part of its load. */
const FIGURES = `new Promise((resolve) => {
  const [navigation] = performance.getEntriesByType('navigation');
  const loaded = performance.getEntriesByType('resource').filter(({ startTime }) => startTime < navigation.loadEventEnd);
  let layoutShift = 0;
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) layoutShift += value;
  }).observe({ type: 'layout-shift', buffered: true });
  setTimeout(() => resolve({
    htmlBytes: navigation.decodedBodySize,
    transferredBytes: [navigation, ...loaded].reduce((sum, { transferSize }) => sum + transferSize, 0),
    requests: 1 + loaded.length,
    contentLoadedMs: navigation.domContentLoadedEventEnd,
    firstPaintMs: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0,
    layoutShift,
  }), 50);
})`;

async function measureTabs(context: BrowserContext, service: PagesService): Promise<BrowserResult['tabs']> {
  const tabs: Page[] = [];
  for (let count = 0; count < TABS; count += 1) {
    const tab = await context.newPage();
    await tab.goto(`${service.url}/agents`);
    await tab.getByText('Live', { exact: true }).waitFor();
    tabs.push(tab);
  }
  const seenMs: number[] = [];
  for (let change = 0; change < TAB_CHANGES; change += 1) {
    const agentId = `tab-${change}`;
    await createAgent(service, agentId);
    const made = performance.now();
    const shown = tabs.map(async (tab) => {
      await tab.getByRole('link', { name: agentId, exact: true }).waitFor();
      return performance.now() - made;
    });
    seenMs.push(...(await Promise.all(shown)));
    await wait(APART_MS);
  }
  return { count: TABS, seenMs };
}
