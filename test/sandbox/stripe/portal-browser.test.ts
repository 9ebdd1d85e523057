import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type SandboxFixture, setup, subscriptionSession } from '../../support/sandbox.ts';
import { failNext, subscribe } from '../../support/sandbox-stripe.ts';

const CHROMIUM = '/usr/bin/chromium';
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

describe('checkout and portal in a browser without script', { timeout: 60_000 }, () => {
  const installed = existsSync(CHROMIUM);
  let sandbox: SandboxFixture;
  let profile: string;
  let browser: BrowserContext;
  const complaints: string[] = [];
  beforeEach(({ skip }) => skip(!installed, `no ${CHROMIUM}: apt-get install chromium`));
  beforeAll(async () => {
    if (!installed) return;
    sandbox = await setup();
    profile = await mkdtemp(join(tmpdir(), 'sandbox-browser-'));
    browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: FLAGS,
      javaScriptEnabled: false,
      viewport: { width: 1000, height: 900 },
    });
    browser.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
  });
  afterAll(async () => {
    await browser?.close();
    await sandbox?.close();
    if (profile) await rm(profile, { recursive: true, force: true });
  });

  test('a customer buys, cancels, comes back, saves another card and pays what failed', async () => {
    const { stripe } = sandbox;
    const product = await stripe.products.create({ name: 'Agent pro' });
    await stripe.prices.create({
      currency: 'eur',
      unit_amount: 5000,
      product: product.id,
      recurring: { interval: 'month' },
      lookup_key: 'pro',
    });
    const success_url = `${sandbox.url}/checkout/{CHECKOUT_SESSION_ID}`;
    const { url, id } = await stripe.checkout.sessions.create({ ...subscriptionSession, success_url });
    const page = await browser.newPage();
    await page.goto(url!);
    await page.getByLabel('Test card').selectOption('4000000000000341');
    await page.getByRole('button', { name: 'Pay (sandbox)' }).click();
    await page.getByRole('button', { name: 'Manage billing' }).click();
    await page.getByRole('heading', { name: 'Billing', exact: true }).waitFor();

    await page.getByRole('button', { name: 'Cancel at the end' }).click();
    await page.getByRole('button', { name: 'Don’t cancel' }).click();
    await page.getByRole('status').getByText('continues').waitFor();

    const session = await stripe.checkout.sessions.retrieve(id);
    await failNext(sandbox, String(session.subscription));
    await page.reload();
    await page.getByRole('button', { name: 'Pay €25.00' }).click();
    await page.getByRole('alert').getByText('Your card was declined.').waitFor();
    await page.getByLabel('New card number').fill('4242 4242 4242 4242');
    await page.getByRole('button', { name: 'Save card' }).click();
    await page.getByRole('button', { name: 'Pay €25.00' }).click();
    await page.getByRole('status').getByText('The invoice is paid.').waitFor();
    await page.getByLabel('Change plan').selectOption({ label: 'Agent pro, €50.00 per month' });
    await page.getByRole('button', { name: 'Change plan' }).click();
    await page.getByRole('heading', { name: 'Agent pro' }).waitFor();
    // The browser itself reports the page that answered 402.
    expect(complaints.filter((text) => !text.includes('402'))).toEqual([]);
    await page.close();
  });

  test('the portal fits a phone, with an invoice to pay', async () => {
    const subscription = await subscribe(sandbox);
    await failNext(sandbox, subscription.id);
    const customer = String(subscription.customer);
    const portal = await sandbox.stripe.billingPortal.sessions.create({ customer });
    const page = await browser.newPage();
    await page.setViewportSize({ width: 360, height: 740 });
    await page.goto(portal.url);
    // Unlike the page's whole width, the table's shows what would reach over the margin.
    const table = (await page.getByRole('table').boundingBox())!;
    const main = (await page.getByRole('main').boundingBox())!;
    expect(table.x + table.width).toBeLessThanOrEqual(main.x + main.width);
    await page.close();
  });
});
