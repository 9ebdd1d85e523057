import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { expect } from 'vitest';
import { API_TOKEN } from './http-service.ts';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why tests in a browser have to be skipped; undefined if they need not. */
export const whyNoBrowser = existsSync(CHROMIUM) ? undefined : `no ${CHROMIUM}: apt-get install chromium`;

/** A context of its own in the system's Chromium. */
export interface TestBrowser {
  context: BrowserContext;
  /** What scripts and the content policy complained about so far. */
  complaints: string[];
  /** Opens a page and signs in as the operator; by default of a service of the tests. */
  signIn(url: string, token?: string): Promise<Page>;
  close(): Promise<void>;
}

/** Chromium runs as long as anything is open in it: to start it takes longer than most tests. */
let running: Promise<Browser> | undefined;
let opened = 0;

export async function openBrowser(options: { javaScriptEnabled?: boolean } = {}): Promise<TestBrowser> {
  opened += 1;
  running ??= chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
  const browser = await running;
  const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
  const complaints: string[] = [];
  context.on('weberror', (error) => complaints.push(error.error().message));
  context.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  return {
    context,
    complaints,
    signIn: async (url, token = API_TOKEN) => {
      const page = await context.newPage();
      await page.goto(url);
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('navigation', { name: 'Main' }).waitFor();
      return page;
    },
    close: async () => {
      await context.close();
      opened -= 1;
      if (opened > 0) return;
      running = undefined;
      await browser.close();
    },
  };
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Asserts that axe finds nothing serious on the page as it is now, and that nothing sticks out sideways. */
export async function expectAccessible(page: Page): Promise<void> {
  // It is half a megabyte: once a document.
  if (!(await page.evaluate<boolean>('"axe" in window'))) await page.evaluate(AXE);
  const found = await page.evaluate<string[]>(
    `axe.run().then(({ violations }) => violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => id + ': ' + nodes.map(({ html }) => html).slice(0, 3).join(' · ')))`,
  );
  const overflow = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth');
  expect({ url: page.url(), found, overflow: Math.max(0, overflow) }).toEqual({
    url: page.url(),
    found: [],
    overflow: 0,
  });
}
