import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { Secret } from '../../src/secret.ts';
import { listCompletedSessions, readCompletedSession } from '../../src/stripe/list-sessions.ts';

const session = (id: string, more: object = {}) => ({
  id,
  object: 'checkout.session',
  created: 1_800_000_000,
  livemode: true,
  status: 'complete',
  ...more,
});

async function startStripe(sessions: readonly { id: string }[]) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://stripe');
    const id = pathname.split('/')[4];
    const found =
      id === undefined
        ? { object: 'list', data: sessions, has_more: false }
        : sessions.find((one) => one.id === id);
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(found ?? { error: { code: 'resource_missing', message: 'No such session' } }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  return { secretKey: new Secret('sk_test_x'), apiUrl: `http://127.0.0.1:${port}` };
}

test('of a listed session only the buyer’s mail address is kept, if it is one', async () => {
  const account = await startStripe([
    session('cs_1', { customer_details: { email: 'ada@example.com', name: 'Ada', phone: '1' } }),
    session('cs_2', { customer_details: { email: `${'a'.repeat(300)}@example.com` } }),
    session('cs_3', { customer_details: null }),
  ]);
  const payloads: unknown[] = [];
  for await (const { payload } of listCompletedSessions(account)) payloads.push(payload);
  expect(payloads).toEqual([
    { data: { object: { customer_details: { email: 'ada@example.com' } } } },
    {},
    {},
  ]);
});

test('one session is read as its event told it; one that is unknown or not completed is undefined', async () => {
  const account = await startStripe([session('cs_1'), session('cs_open', { status: 'open' })]);
  expect(await readCompletedSession(account, 'cs_1')).toMatchObject({
    id: 'recovered_cs_1',
    type: 'checkout.session.completed',
    objectId: 'cs_1',
    livemode: true,
  });
  expect(await readCompletedSession(account, 'cs_open')).toBeUndefined();
  expect(await readCompletedSession(account, 'cs_none')).toBeUndefined();
});
