import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DatabaseProxy, startProxy } from '../../tools/faults/database-proxy.ts';
import { startService, type TestService } from '../support/http-service.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
let proxy: DatabaseProxy;
beforeAll(async () => {
  const behindProxy = async (url: string) => {
    proxy = await startProxy(url);
    return proxy.url;
  };
  service = await startService({}, { databaseUrl: behindProxy });
});
afterAll(async () => {
  await service.stop();
  await proxy.cut();
});

it('answers 503 while the database is away, and accepts the same event afterwards', async () => {
  const event = paidCheckout();
  await proxy.cut();
  try {
    const refused = await deliver(service.url, event);
    expect(refused).toMatchObject({ status: 503, body: { error: expect.stringContaining('unavailable') } });
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(service.logged).toContainEqual(expect.objectContaining({ event: 'stripe.refused', status: 503 }));

    const list = await service.ask('/api/agents');
    expect(list.status).toBe(503);
    expect(list.headers.get('content-type')).toContain('application/problem+json');
    const ready = await service.ask('/readyz');
    expect(ready.status).toBe(503);
    expect(await ready.json()).toMatchObject({ checks: { database: 'unavailable' } });
    expect((await service.ask('/healthz')).status).toBe(200);
  } finally {
    await proxy.restore();
  }
  await expect.poll(() => deliver(service.url, event), { timeout: 10_000 }).toMatchObject({ status: 200 });
  await expect.poll(async () => (await service.ask('/readyz')).status, { timeout: 10_000 }).toBe(200);
  const rows = await service.database.selectFrom('operations').selectAll().execute();
  expect(rows).toMatchObject([{ kind: 'provision', stripe_event_id: event.id, status: 'queued' }]);
});

it('stores nothing of an event if the database fails half way, and all of it at the next try', async () => {
  const events = Array.from({ length: 12 }, () => paidCheckout());
  const deliveries = events.map((event) => deliver(service.url, event));
  await Promise.race(deliveries);
  await proxy.cut();
  const answers = await Promise.all(deliveries);
  await proxy.restore();
  expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200, 503]));
  for (const event of events) {
    await expect.poll(() => deliver(service.url, event), { timeout: 10_000 }).toMatchObject({ status: 200 });
  }
  const ids = events.map((event) => event.id);
  const stored = (table: 'orders' | 'operations') =>
    service.database
      .selectFrom(table)
      .select('stripe_event_id')
      .where('stripe_event_id', 'in', ids)
      .execute();
  expect(await stored('orders')).toHaveLength(12);
  expect(await stored('operations')).toHaveLength(12);
});
