import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStatusLinks } from '../../src/dashboard/buyer/status-links.ts';
import { openBrowser, type TestBrowser, whyNoBrowser } from '../support/browser.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { finishProvision, log, step, tell } from '../support/operation-progress.ts';

describe('the dashboard in a browser', () => {
  let service: TestService;
  let browser: TestBrowser;

  beforeEach(({ skip }) => skip(whyNoBrowser !== undefined, whyNoBrowser));
  beforeAll(async () => {
    if (whyNoBrowser !== undefined) return;
    service = await startService();
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await service?.stop();
  });

  async function create(agentId: string): Promise<{ agentId: string; operationId: string }> {
    const response = await service.ask('/api/agents', {
      json: { agentId, userId: 'user-1', region: 'eu-west' },
    });
    return (await response.json()) as { agentId: string; operationId: string };
  }

  it('signs in, follows an agent to running without a reload, and destroys it after a confirmation', async () => {
    const page = await browser.context.newPage();
    await page.goto(service.url);
    await page.getByLabel('Token').fill(API_TOKEN);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('No agents yet.').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();

    const agent = await create('browser-1');
    await page
      .getByRole('row', { name: /browser-1/ })
      .getByText('Requested')
      .waitFor();
    await page.getByRole('link', { name: 'browser-1', exact: true }).click();
    await page.getByText('Waiting in line').first().waitFor();
    await page.evaluate('document.body.dataset.loadedOnce = "yes"');
    await tell(service.database, agent.operationId, [step('creating_server'), log('hcloud:Server creating')]);
    await page.getByText('Creating the server').first().waitFor();
    await page.getByRole('log').getByText('hcloud:Server creating').waitFor();
    const { tailnetIp } = await finishProvision(service.database, agent);
    await page.getByText(tailnetIp).first().waitFor();
    await page.getByRole('heading', { name: 'Provision Succeeded' }).waitFor();
    expect(await page.evaluate('document.body.dataset.loadedOnce')).toBe('yes');
    expect((await page.getByRole('log').textContent())?.split('hcloud:Server creating')).toHaveLength(2);

    await page.getByRole('link', { name: 'Destroy browser-1' }).click();
    await page.getByRole('button', { name: 'Destroy browser-1' }).click();
    await page.getByText('Destroying', { exact: true }).first().waitFor();
    await page.getByRole('heading', { name: 'Destroy Queued' }).waitFor();
    expect(browser.complaints).toEqual([]);
    await page.close();
  });

  it('shows the buyer each step without a reload, and with one where scripts are off', async () => {
    const agent = await create('bought-1');
    const links = createStatusLinks({ apiToken: service.deps.apiToken, publicUrl: service.url });
    const page = await browser.context.newPage();
    await page.goto(links.statusUrl(agent.agentId));
    await page.getByText('Your agent is next in line.').waitFor();
    await page.evaluate('document.body.dataset.loadedOnce = "yes"');
    await finishProvision(service.database, agent);
    await page.getByText('Your agent is running.').waitFor();
    expect(await page.evaluate('document.body.dataset.loadedOnce')).toBe('yes');
    expect(browser.complaints).toEqual([]);
    await page.close();

    const plain = await openBrowser({ javaScriptEnabled: false });
    const other = await create('bought-2');
    const plainPage = await plain.context.newPage();
    await plainPage.goto(links.statusUrl(other.agentId));
    await plainPage.getByText('Your agent is next in line.').waitFor();
    await finishProvision(service.database, other);
    await plainPage.getByText('Your agent is running.').waitFor();
    await plain.close();
  });

  it('fits a phone, for the operator and the buyer', async () => {
    const agent = await create('a-rather-long-agent-id-of-forty-letters0');
    await finishProvision(service.database, agent);
    const page = await browser.context.newPage();
    await page.setViewportSize({ width: 360, height: 740 });
    const links = createStatusLinks({ apiToken: service.deps.apiToken, publicUrl: service.url });
    for (const url of [
      service.url,
      `${service.url}/agents/${agent.agentId}`,
      links.statusUrl(agent.agentId),
    ]) {
      await page.goto(url);
      const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      expect(overflow).toBeLessThanOrEqual(0);
    }
    await page.getByText('Your agent is running.').waitFor();
    expect(browser.complaints).toEqual([]);
    await page.close();
  });
});
