import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { NO_BUYER_PAGE } from '../../src/config/buyer-page.ts';
import { type DatabaseProxy, startProxy } from '../../tools/faults/database-proxy.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { finishProvision } from '../support/operation-progress.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
let branded: TestService;
beforeAll(async () => {
  service = await startService();
  branded = await startService({
    buyerPage: {
      ...NO_BUYER_PAGE,
      name: 'Nimbus <Agents>',
      colours: { light: '#7a1fa2', dark: undefined },
      logo: { content: Buffer.from('<svg/>'), type: 'image/svg+xml' },
      texts: { requested: 'Hang on.' },
      origins: ['https://app.example.com'],
      payUrl: 'https://billing.example.com/pay',
      helpUrl: 'mailto:help@example.com',
    },
  });
});
afterAll(async () => {
  await service.stop();
  await branded.stop();
});

/** Stripe's ids have as many letters. */
const newSession = () => `cs_test_${randomBytes(29).toString('hex')}`;
async function buy(at: TestService, metadata: object = {}): Promise<{ session: string; agentId: string }> {
  const session = newSession();
  const event = paidCheckout(metadata, { session: { id: session } });
  await deliver(at.url, event);
  return { session, agentId: (event.data.object.metadata as { agentId: string }).agentId };
}
const visit = async (at: TestService, session: string) => {
  const response = await fetch(`${at.url}/status?session=${encodeURIComponent(session)}`);
  return { status: response.status, headers: response.headers, markup: await response.text() };
};
const set = (agentId: string, status: string) =>
  sql`update agents set status = ${status}, error = 'x' where agent_id = ${agentId}`.execute(
    service.database,
  );

describe('by the checkout session alone', () => {
  test('the page waits for the event, then shows the agent of the order', async () => {
    const session = newSession();
    const early = await visit(service, session);
    expect([early.status, early.headers.get('referrer-policy')]).toEqual([200, 'no-referrer']);
    expect(early.markup).toContain('waiting for the confirmation of your payment');
    expect(early.markup).toContain('data-reload-seconds="3"');
    await deliver(service.url, paidCheckout({ agentId: 'bought' }, { session: { id: session } }));
    const there = await visit(service, session);
    expect(there.markup).toContain('Your agent is next in line.');
    expect(there.markup).not.toContain(session);
    expect(there.markup).not.toContain('user-1');
  });

  test('an order that a person has to complete says so, without the reason', async () => {
    const { session } = await buy(service, { region: 'mars' });
    const { markup } = await visit(service, session);
    expect(markup).toContain('A person on our side completes your order');
    expect(markup).not.toContain('mars');
  });

  test('it opens the page for two weeks, and after them only a signed link does', async () => {
    const { session } = await buy(service);
    const age = (days: number) =>
      sql`update orders set created_at = now() - make_interval(days => ${days}) where session_id = ${session}`.execute(
        service.database,
      );
    await age(13);
    expect((await visit(service, session)).status).toBe(200);
    await age(15);
    expect((await visit(service, session)).status).toBe(403);
  });

  test.each(['', 'cs_test_short', 'evt_0123456789012345678901234567', "cs_test_' or 1=1 --0123456789012345"])(
    'what is no session is refused: %s',
    async (session) => {
      expect((await visit(service, session)).status).toBe(403);
    },
  );
});

test('says how long others waited, and that it takes longer than usual', async () => {
  const first = await buy(service);
  expect((await visit(service, first.session)).markup).toContain('This takes a few minutes at most.');
  // Of another plan: an answer is kept for a minute.
  const { session, agentId } = await buy(service, { plan: 'pro' });
  await sql`insert into agents (agent_id, user_id, region, location, plan)
    select 'done-' || n, 'u', 'eu-west', 'fsn1', 'pro' from generate_series(1, 5) n`.execute(
    service.database,
  );
  await sql`insert into operations (agent_id, kind, status, executor, created_at, finished_at)
    select 'done-' || n, 'provision', 'succeeded', 'local', now() - interval '1 hour',
      now() - interval '1 hour' + make_interval(secs => 40 + n) from generate_series(1, 5) n`.execute(
    service.database,
  );
  expect((await visit(service, session)).markup).toContain(
    'Usually ready within 45 seconds, nearly always within 45 seconds.',
  );
  await sql`update operations set created_at = now() - interval '2 minutes' where agent_id = ${agentId}`.execute(
    service.database,
  );
  expect((await visit(service, session)).markup).toContain('It takes longer than usual.');
});

test('five steps, each with its time once it is done', async () => {
  const { session, agentId } = await buy(service);
  const markup = async () => (await visit(service, session)).markup;
  expect([...(await markup()).matchAll(/<li class="(\w+)"/g)].map(([, state]) => state)).toEqual([
    'current',
    'ahead',
    'ahead',
    'ahead',
    'ahead',
  ]);
  const { rows } = await sql<{
    id: string;
  }>`select operation_id as id from operations where agent_id = ${agentId}`.execute(service.database);
  await finishProvision(service.database, { agentId, operationId: rows[0]!.id });
  const ready = await markup();
  expect([...ready.matchAll(/<li class="(\w+)"/g)]).toHaveLength(5);
  expect(ready).toContain('<h1>Ready</h1>');
  expect(ready).not.toContain('data-reload-seconds');
});

describe('what is unpaid', () => {
  const bill = (agentId: string, state: string, dates: Record<string, string>) =>
    sql`insert into subscriptions (subscription_id, agent_id, governs, state, demand, suspend_at, delete_at, cancel_at)
      values (${`s_${agentId}`}, ${agentId}, true, ${state}, 'run', ${dates.suspend ?? null}, ${dates.delete ?? null}, ${dates.cancel ?? null})
      on conflict (subscription_id) do nothing`.execute(service.database);
  const fresh = async () => {
    const bought = await buy(service);
    await sql`delete from subscriptions where agent_id = ${bought.agentId}`.execute(service.database);
    return bought;
  };

  test.each<[state: string, dates: Record<string, string>, text: string]>([
    ['past_due', { suspend: '2026-12-14T08:00:00Z' }, 'runs on until 14 December 2026'],
    ['suspended', { delete: '2027-01-13T08:00:00Z' }, 'It will be deleted on 13 January 2027.'],
    ['ending', { cancel: '2026-12-31T08:00:00Z' }, 'It ends on 31 December 2026.'],
    ['ended', { delete: '2027-01-03T08:00:00Z' }, 'It will be deleted on 3 January 2027.'],
    ['incomplete', {}, 'Your first payment is open'],
  ])('%s is said with its day', async (state, dates, text) => {
    const { session, agentId } = await fresh();
    await bill(agentId, state, dates);
    expect((await visit(service, session)).markup).toContain(text);
  });

  test('nothing is said of a paid one, nor of one that is being removed', async () => {
    const { session, agentId } = await fresh();
    await bill(agentId, 'paid', {});
    expect((await visit(service, session)).markup).not.toContain('billing-title');
    await set(agentId, 'destroying');
    await sql`update subscriptions set state = 'ended' where agent_id = ${agentId}`.execute(service.database);
    expect((await visit(service, session)).markup).not.toContain('billing-title');
  });

  test('what is open is paid on Stripe’s page of the latest open invoice, else where the operator says', async () => {
    const { session, agentId } = await buy(branded);
    const link = async () =>
      /href="([^"]*)" rel="noreferrer">Pay now/.exec((await visit(branded, session)).markup)?.[1];
    const owe = (view: object | null) =>
      sql`insert into subscriptions (subscription_id, agent_id, governs, state, demand, view)
        values (${`s_${agentId}`}, ${agentId}, true, 'past_due', 'run', ${view === null ? null : JSON.stringify(view)})
        on conflict (subscription_id) do update set view = excluded.view`.execute(branded.database);
    const invoice = (name: string, changes: object = {}) => ({
      status: 'open',
      amountRemaining: 1000,
      payPage: `https://invoice.stripe.com/i/${name}`,
      ...changes,
    });
    await sql`delete from subscriptions where agent_id = ${agentId}`.execute(branded.database);
    await owe(null);
    const configured = 'https://billing.example.com/pay';
    expect(await link()).toBe(configured);
    await owe({
      invoices: [
        invoice('paid', { status: 'paid', amountRemaining: 0 }),
        invoice('newest'),
        invoice('older'),
      ],
    });
    expect(await link()).toBe('https://invoice.stripe.com/i/newest');
    for (const payPage of [null, 'javascript:alert(1)', undefined]) {
      await owe({ invoices: [invoice('x', { payPage })] });
      expect(await link()).toBe(configured);
    }
    await sql`update subscriptions set state = 'paid' where agent_id = ${agentId}`.execute(branded.database);
    expect(await link()).toBeUndefined();
  });

  test('a hold of the operator’s is no matter of payments', async () => {
    const { session, agentId } = await fresh();
    await sql`insert into holds (agent_id, reason, since, by_whom, note)
      values (${agentId}, 'abuse', now(), 'operator', 'sends spam')`.execute(service.database);
    const { markup } = await visit(service, session);
    expect(markup).toContain('Please get in touch');
    expect(markup).not.toMatch(/spam|abuse/);
  });
});

test('name, colours, logo, texts and links are the operator’s', async () => {
  const { session } = await buy(branded);
  const { markup } = await visit(branded, session);
  expect(markup).toContain('Nimbus &lt;Agents&gt;');
  expect(markup).toContain('Hang on.');
  expect(markup).toContain('href="mailto:help@example.com"');
  const style = await fetch(`${branded.url}${/href="(\/brand\/style[^"]*)"/.exec(markup)![1]}`);
  expect(await style.text()).toContain('--link:#7a1fa2');
  const logo = await fetch(`${branded.url}/brand/logo`);
  expect(logo.headers.get('content-type')).toBe('image/svg+xml');
  expect(logo.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect((await fetch(`${service.url}/brand/logo`)).status).toBe(404);
});

test('only the configured sites may embed it, and only this page', async () => {
  const { session } = await buy(branded);
  const { headers } = await visit(branded, session);
  expect(headers.get('content-security-policy')).toContain('frame-ancestors https://app.example.com');
  expect(headers.get('x-frame-options')).toBeNull();
  const signIn = await fetch(`${branded.url}/sign-in`);
  expect(signIn.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  const plain = await visit(service, newSession());
  expect(plain.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
  expect(plain.headers.get('x-frame-options')).not.toBeNull();
});

test('a page that cannot be shown says so to a buyer without a word of the reason, and tries again', async () => {
  let isAway = false;
  let proxy: DatabaseProxy | undefined;
  const away = await startService(
    { buyerPage: { ...NO_BUYER_PAGE, name: 'Nimbus' } },
    {
      databaseUrl: async (url) => {
        proxy = await startProxy(url);
        return proxy.url;
      },
    },
  );
  try {
    await proxy!.cut();
    isAway = true;
    const { status, markup } = await visit(away, newSession());
    expect(status).toBe(503);
    expect(markup).toContain('One moment, please');
    expect(markup).toContain('data-reload-seconds="3"');
    expect(markup).not.toMatch(/database|Postgres|All agents|Overview/i);
    const operators = await away.ask('/');
    expect(operators.status).toBe(503);
    const page = await operators.text();
    expect(page).toContain('The database is unavailable');
    expect(page).toContain('data-reloads-whole');
  } finally {
    if (isAway) await proxy!.restore();
    await away.stop();
    await proxy!.cut();
  }
});

test('a link that opens nothing leads nowhere but to help', async () => {
  const { markup, status } = await visit(branded, 'cs_x');
  expect(status).toBe(403);
  expect(markup).toMatch(
    /<p class="muted"><a href="mailto:help@example\.com" rel="noreferrer">Get help<\/a><\/p>/,
  );
  expect((await visit(service, 'cs_x')).markup).not.toContain('Get help');
});
