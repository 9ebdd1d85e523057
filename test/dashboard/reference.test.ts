import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROBLEM_NAMES, PROBLEMS } from '../../src/http/problems.ts';
import { openBrowser, type TestBrowser, whyNoBrowser } from '../support/browser.ts';
import { startService, type TestService } from '../support/http-service.ts';

let service: TestService;
let browser: TestBrowser | undefined;
beforeAll(async () => {
  service = await startService();
  if (whyNoBrowser === undefined) browser = await openBrowser();
});
afterAll(async () => {
  await browser?.close();
  await service.stop();
});

const text = async (path: string) => (await fetch(`${service.url}${path}`)).text();

test('the reference has every route and every schema of the document', async () => {
  const document = (await (await service.ask('/openapi.json')).json()) as {
    paths: Record<string, Record<string, { operationId: string }>>;
    components: { schemas: object };
  };
  const page = await text('/reference');
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods));
  const ids = operations.map(({ operationId }) => operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of ids) expect(page).toContain(`<h3 id="${id}">`);
  for (const name of Object.keys(document.components.schemas)) expect(page).toContain(`id="schema-${name}"`);
  const targets = [...page.matchAll(/href="#([^"]+)"/g)].map(([, id]) => id!);
  expect(targets.filter((id) => !page.includes(`id="${id}"`))).toEqual([]);
  expect(Buffer.byteLength(page)).toBeLessThan(200_000);
});

test('every type of problem has a page that anyone may read, and no other', async () => {
  const list = await text('/problems');
  for (const name of PROBLEM_NAMES) {
    expect(list).toContain(`href="/problems/${name}"`);
    expect(await text(`/problems/${name}`)).toContain(`status ${PROBLEMS[name].status}`);
  }
  expect((await fetch(`${service.url}/problems/constructor`)).status).toBe(404);
  const docs = readFileSync(new URL('../../docs/api.md', import.meta.url), 'utf8');
  for (const name of PROBLEM_NAMES)
    expect(docs).toMatch(new RegExp(`\\| ${PROBLEMS[name].status} +\\| .\\/problems\\/${name}. `));
});

test('the pages load nothing from elsewhere, and the content policy stays silent', async ({ skip }) => {
  skip(browser === undefined, whyNoBrowser);
  const { context, complaints } = browser!;
  const page = await context.newPage();
  const asked: string[] = [];
  page.on('request', (request) => asked.push(request.url()));
  for (const path of ['/reference', '/problems', '/problems/conflict']) {
    await page.goto(`${service.url}${path}`);
    expect(await page.locator('h1').count()).toBe(1);
  }
  expect(asked.filter((url) => !url.startsWith(service.url) && !url.startsWith('data:'))).toEqual([]);
  expect(complaints).toEqual([]);
});
