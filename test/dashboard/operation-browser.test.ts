import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openBrowser, type TestBrowser, whyNoBrowser } from '../support/browser.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { log, step, tell } from '../support/operation-progress.ts';

/** A browser on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let service: TestService;
let browser: TestBrowser;
let page: Page;
let operationId: string;

beforeEach(({ skip }) => skip(whyNoBrowser !== undefined, whyNoBrowser));
beforeAll(async () => {
  if (whyNoBrowser !== undefined) return;
  service = await startService();
  const response = await service.ask('/api/agents', {
    json: { agentId: 'ada', userId: 'u', region: 'eu-west' },
  });
  ({ operationId } = (await response.json()) as { operationId: string });
  await tell(service.database, operationId, [step('creating_server'), ...lines('first', 120)]);
  browser = await openBrowser();
  page = await browser.signIn(`${service.url}/operations/${operationId}`);
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
});

const lines = (name: string, count: number) =>
  Array.from({ length: count }, (_, index) => log(`${name} ${index + 1}`));
const distanceFromEnd = () =>
  page.evaluate<number>(
    '(() => { const log = document.getElementById("log"); return Math.round(log.scrollHeight - log.clientHeight - log.scrollTop); })()',
  );

test('the log follows new lines, keeps a selection where it is, and only the reader ends it', async () => {
  await page.getByText('Live', { exact: true }).waitFor();
  await tell(service.database, operationId, lines('second', 40));
  await page.getByRole('log').getByText('second 40', { exact: true }).waitFor();
  await expect.poll(distanceFromEnd).toBeLessThanOrEqual(1);

  // Scrolled away by hand: the next lines bring it back, because Follow is still ticked.
  await page.evaluate('document.getElementById("log").scrollTop = 0');
  await tell(service.database, operationId, lines('third', 1));
  await expect.poll(distanceFromEnd).toBeLessThanOrEqual(1);

  await page.evaluate('getSelection().selectAllChildren(document.querySelector("#L60 .text"))');
  await page.evaluate('document.getElementById("L60").scrollIntoView()');
  const before = await page.evaluate<number>('document.getElementById("log").scrollTop');
  await tell(service.database, operationId, lines('fourth', 30));
  await page.getByRole('log').getByText('fourth 30', { exact: true }).waitFor();
  expect(await page.evaluate('document.getElementById("log").scrollTop')).toBe(before);
  expect(await page.evaluate('String(getSelection())')).toMatch(/^first \d+$/);
  expect(await page.getByLabel('Follow').isChecked()).toBe(true);

  await page.evaluate('getSelection().removeAllRanges()');
  await page.getByLabel('Follow').uncheck();
  await tell(service.database, operationId, lines('fifth', 30));
  await page.getByRole('log').getByText('fifth 30', { exact: true }).waitFor();
  expect(await page.evaluate('document.getElementById("log").scrollTop')).toBe(before);
  expect(await page.getByRole('log').getByText('fifth 30', { exact: true }).count()).toBe(1);
  expect(browser.complaints).toEqual([]);
});

test('an address leads to its line, and long lines wrap or do not', async () => {
  await page.goto(`${service.url}/operations/${operationId}?line=50#L50`);
  const shown = await page.evaluate<boolean>(
    '(() => { const { top, bottom } = document.getElementById("L50").getBoundingClientRect(); return top >= 0 && bottom <= innerHeight; })()',
  );
  expect(shown).toBe(true);
  const style = () =>
    page.evaluate<string>('getComputedStyle(document.querySelector("#L50 .text")).whiteSpace');
  expect(await style()).toBe('pre-wrap');
  await page.getByLabel('Wrap long lines').uncheck();
  expect(await style()).toBe('pre');
  await page.keyboard.press('/');
  await page.keyboard.type('second 3');
  await page.keyboard.press('Enter');
  await page.getByText('11 lines match').first().waitFor();
});

test('a page that shows a search is kept up to date without searching again', async () => {
  await page.goto(`${service.url}/operations/${operationId}?q=second+3&level=info`);
  await page.getByText('11 lines match').first().waitFor();
  const fetched: string[] = [];
  const note = (request: { url(): string; resourceType(): string }) => {
    if (request.resourceType() === 'fetch') fetched.push(request.url());
  };
  page.on('request', note);
  await tell(service.database, operationId, [step('configuring')]);
  await page.locator('#operation').getByText('Configuring').first().waitFor();
  // What is shown may come from a request that was under way before: the event’s own follows.
  await expect.poll(() => [...new Set(fetched)]).toEqual([`${service.url}/operations/${operationId}`]);
  page.off('request', note);
  expect(await page.getByText('11 lines match').count()).toBeGreaterThan(0);
});

test('what is shown of an agent can be copied', async () => {
  await browser.context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: service.url });
  await page.goto(`${service.url}/agents/ada`);
  await page.getByRole('button', { name: 'Copy the command: what an update would change' }).click();
  await expect
    .poll(() => page.evaluate('navigator.clipboard.readText()'))
    .toBe('npm run pulumi -- preview -s agent-ada');
  expect(browser.complaints).toEqual([]);
});

test('without scripts: the log, its search, its folds and its switch work', async () => {
  const plain = await openBrowser({ javaScriptEnabled: false });
  const plainPage = await plain.signIn(`${service.url}/operations/${operationId}`);
  await plainPage.getByLabel('Search the log').fill('first 12');
  await plainPage.getByRole('button', { name: 'Search' }).click();
  await plainPage.getByText('2 lines match').waitFor();
  expect(await plainPage.getByLabel('Follow').count()).toBe(0);
  await plainPage.goto(`${service.url}/operations/${operationId}`);
  expect(await plainPage.getByLabel('Follow').isVisible()).toBe(false);
  await plainPage.goto(`${service.url}/agents/ada`);
  expect(await plainPage.locator('.copy').first().isVisible()).toBe(false);
  await plain.close();
});
