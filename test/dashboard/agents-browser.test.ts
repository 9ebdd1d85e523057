import { sql } from 'kysely';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { openBrowser, type TestBrowser, whyNoBrowser } from '../support/browser.ts';
import { startService, type TestService } from '../support/http-service.ts';

/** A browser on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let service: TestService;
let browser: TestBrowser;
let page: Page;

beforeEach(({ skip }) => skip(whyNoBrowser !== undefined, whyNoBrowser));
beforeAll(async () => {
  if (whyNoBrowser !== undefined) return;
  service = await startService();
  await sql`insert into agents (agent_id, user_id, region, location, plan, status, health, server_id, tailnet_ip)
    select 'ada-' || n, 'user-' || n, 'eu-west', 'fsn1', 'starter', 'running', 'healthy', n::text, '100.64.0.' || n
    from generate_series(1, 30) n`.execute(service.database);
  browser = await openBrowser();
  page = await browser.signIn(service.url);
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
});

test('by the keyboard alone: to the agents, a search as one types, several ticked, confirmed', async () => {
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await page.keyboard.press('a');
  await page.waitForURL('**/agents');
  await page.evaluate('document.body.dataset.loadedOnce = "yes"');
  await page.keyboard.press('/');
  await page.keyboard.type('ada-2');
  await page.getByText('11 agents match').waitFor();
  expect(new URL(page.url()).search).toBe('?q=ada-2');
  // What is typed into a field is no shortcut.
  await page.keyboard.type('ga');
  await page.getByText('No agent matches').waitFor();
  await page.keyboard.press('Backspace');
  await page.keyboard.press('Backspace');
  await page.getByText('11 agents match').waitFor();
  expect(await page.evaluate('document.body.dataset.loadedOnce')).toBe('yes');

  for (const name of ['Choose ada-2', 'Choose ada-21']) {
    await page.getByRole('checkbox', { name, exact: true }).focus();
    await page.keyboard.press('Space');
  }
  await page.getByText('2 ticked').waitFor();
  await service.ask('/api/agents/ada-2/refresh', { method: 'POST' });
  await sql`update agents set health = 'unhealthy', unhealthy_since = now() where agent_id = 'ada-21'`.execute(
    service.database,
  );
  await page
    .getByRole('row', { name: /ada-21/ })
    .getByText('Unhealthy')
    .waitFor();
  expect(await page.getByRole('checkbox', { checked: true }).count()).toBe(2);

  await page.getByLabel('With those ticked:').selectOption('restart');
  await page.getByRole('button', { name: 'Continue…' }).press('Enter');
  await page.getByRole('heading', { name: 'Restart 2 agents?' }).waitFor();
  await page.getByRole('button', { name: 'Restart 2 agents' }).press('Enter');
  await page.getByRole('heading', { name: 'Restart: requested for 2 agents' }).waitFor();
  expect(browser.complaints).toEqual([]);
});

test('the numbers of a chart stay open while the page is updated', async () => {
  await page.goto(service.url);
  await page.getByText('Numbers of Provisions an hour').waitFor({ state: 'attached' });
  await page.locator('#provisions-numbers summary').click();
  await service.ask('/api/agents/ada-7/refresh', { method: 'POST' });
  await page.getByRole('link', { name: 'Refresh of ada-7' }).waitFor();
  expect(await page.locator('#provisions-numbers').getAttribute('open')).not.toBeNull();
  expect(browser.complaints).toEqual([]);
});

test('an agent’s error has a line for each of its causes', async () => {
  await sql`update agents set status = 'failed', error = 'It did not join', rollback_error = 'Hetzner is away'
    where agent_id = 'ada-12'`.execute(service.database);
  await page.goto(`${service.url}/agents/ada-12`);
  // As it is shown: where lines are not kept, a line end is a blank there.
  const shown = await page.evaluate("document.querySelector('p.problem').innerText");
  expect(shown).toMatch(/^It did not join\nSome of its resources/);
});

test('more tabs than a browser has connections are all live, also after the one that listens was closed', async () => {
  const tabs = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const tab = await browser.context.newPage();
      await tab.goto(`${service.url}/agents?q=ada-11`);
      await tab.getByText('Live', { exact: true }).waitFor();
      return tab;
    }),
  );
  const protect = (isProtected: boolean) =>
    service.ask('/api/agents/ada-11', { method: 'PATCH', json: { protected: isProtected } });
  await protect(true);
  await Promise.all(tabs.map((tab) => tab.getByText('Protected', { exact: true }).waitFor()));
  // Whichever listens: the test's first page is open as long as its browser.
  await page.goto('about:blank');
  await tabs[0]!.close();
  const left = tabs.slice(1);
  await protect(false);
  await Promise.all(
    left.map((tab) => tab.getByText('Protected', { exact: true }).waitFor({ state: 'detached' })),
  );
  expect(browser.complaints).toEqual([]);
  for (const tab of left) await tab.close();
});

test('a page asks again only after twice as long as its last answer took', async () => {
  const tab = await browser.context.newPage();
  // The tab's clock stands still but for `runFor`, so that nothing depends on the machine's pace.
  await tab.clock.install({ time: new Date('2026-12-01T08:00:00Z') });
  await tab.clock.pauseAt(new Date('2026-12-01T08:00:01Z'));
  const asked: (() => Promise<void>)[] = [];
  await tab.route(`${service.url}/`, (route) => {
    if (route.request().resourceType() !== 'fetch') return route.continue();
    asked.push(() => route.continue());
    return undefined;
  });
  const askedTimes = async (count: number) => {
    await expect.poll(() => asked.length, { timeout: 30_000 }).toBe(count);
  };
  await tab.goto(service.url);
  await tab.getByText('Live', { exact: true }).waitFor();
  await tab.clock.runFor(300);
  await askedTimes(1);
  await service.ask('/api/agents/ada-9/refresh', { method: 'POST' });
  await tab.locator('#announcement', { hasText: 'ada-9: refresh queued' }).waitFor({ state: 'attached' });
  // Its answer takes 400 ms of the tab's time.
  await tab.clock.runFor(400);
  await asked[0]!();
  await tab.getByRole('link', { name: 'Refresh of ada-9' }).waitFor();
  await tab.clock.runFor(350);
  expect(await tab.evaluate('document.title')).toContain('Overview');
  expect(asked).toHaveLength(1);
  await tab.clock.runFor(200);
  await askedTimes(2);
  await tab.close();
});

test('without scripts: search, filters, keyboard’s list and confirmation work', async () => {
  const plain = await openBrowser({ javaScriptEnabled: false });
  const plainPage = await plain.signIn(`${service.url}/agents`);
  await plainPage.getByLabel('Search', { exact: false }).first().fill('ada-30');
  await plainPage.getByRole('button', { name: 'Search' }).click();
  await plainPage.getByText('1 agent matches').waitFor();
  await plainPage.getByRole('checkbox', { name: 'Choose ada-30' }).check();
  await plainPage.getByLabel('With those ticked:').selectOption('destroy');
  await plainPage.getByRole('button', { name: 'Continue…' }).click();
  await plainPage.getByLabel('Type 1 to confirm').fill('1');
  await plainPage.getByRole('button', { name: 'Destroy 1 agent' }).click();
  await plainPage.getByRole('heading', { name: 'Destroy: requested for 1 agent' }).waitFor();
  await plainPage.getByRole('link', { name: 'Keyboard' }).click();
  await plainPage.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  await plain.close();
});
