import type { Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { createStatusLinks } from '../../src/dashboard/buyer/status-links.ts';
import { expectAccessible, openBrowser, type TestBrowser, whyNoBrowser } from '../support/browser.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision, log, step, tell } from '../support/operation-progress.ts';
import { addPerson } from '../support/people.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

/** A browser on a busy machine takes its time. */
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let service: TestService;
let browser: TestBrowser;
let page: Page;
let operationId: string;

beforeEach(({ skip }) => skip(whyNoBrowser !== undefined, whyNoBrowser));
beforeAll(async () => {
  if (whyNoBrowser !== undefined) return;
  service = await startService({ checkoutUrl: 'http://127.0.0.1:4000/checkout' });
  await fillPages();
  browser = await openBrowser();
  page = await browser.signIn(service.url);
});
afterAll(async () => {
  await browser?.close();
  await service?.stop();
});

/** One agent of each kind that looks different, and an order that needs a person. */
async function fillPages(): Promise<void> {
  const create = async (agentId: string) => {
    const response = await service.ask('/api/agents', { json: { agentId, userId: 'u', region: 'eu-west' } });
    return (await response.json()) as { agentId: string; operationId: string };
  };
  await finishProvision(service.database, await create('a-rather-long-agent-id-of-forty-letters0'));
  const waiting = await create('waits');
  await tell(service.database, waiting.operationId, [step('creating_server'), log('hcloud:Server creating')]);
  const proposal = {
    agentId: 'a-rather-long-agent-id-of-forty-letters0',
    kind: 'destroy',
    reason: 'mines coins',
  };
  expect((await service.ask('/api/proposals', { json: proposal })).status).toBe(201);
  await tell(service.database, waiting.operationId, [
    log('error: other side closed'),
    log('base : Install packages: changed (3.2 s)'),
    log(`a line of ${'many '.repeat(60)} words`),
    step('waiting_to_retry'),
    {
      type: 'status',
      data: { status: 'queued', attempt: 1, error: 'closed', failedStep: 'creating_server' },
    },
  ]);
  operationId = waiting.operationId;
  await addPerson(service, 'a.rather.long.name.of.somebody@mail.example.com', 'operator');
  const { agentId } = await create('fails');
  await service.database
    .updateTable('agents')
    .set({ status: 'failed', error: 'Hetzner has no such server' })
    .where('agent_id', '=', agentId)
    .execute();
  await deliver(service.url, paidCheckout({ region: 'mars' }));
}

const buyersPage = () =>
  createStatusLinks({ apiToken: service.deps.apiToken, publicUrl: service.url }).statusUrl('waits');

const PATHS = [
  '/',
  '/agents',
  '/agents?q=nothing-like-it',
  '/bulk?kind=destroy&agentId=waits&agentId=fails',
  '/attention',
  '/agents/a-rather-long-agent-id-of-forty-letters0',
  '/agents/waits',
  '/operations/OPERATION',
  '/operations/OPERATION?line=3#L3',
  '/operations/OPERATION/cancel',
  '/operations/OPERATION?q=other',
  '/operations/OPERATION?q=nothing-like-it',
  '/agents/fails/destroy',
  '/agents/fails/hold',
  '/people',
  '/people/a.rather.long.name.of.somebody@mail.example.com/remove',
  '/design',
  '/doctor',
  '/reference',
  '/problems',
  '/problems/conflict',
  '/sign-in',
  'the buyer’s page',
  `/status?session=cs_test_${'x'.repeat(58)}`,
];

test.each(PATHS)('%s: axe finds nothing serious, light and dark, on a desk and on a phone', async (path) => {
  const own = path.replace('OPERATION', operationId);
  const url = path.startsWith('/') ? `${service.url}${own}` : buyersPage();
  // No page asks for either when it is loaded: its style sheet follows both.
  await page.goto(url);
  for (const colorScheme of ['light', 'dark'] as const)
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 844 });
      await expectAccessible(page);
    }
  expect(browser.complaints).toEqual([]);
});
