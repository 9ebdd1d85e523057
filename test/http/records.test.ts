import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { issueReceipt } from '../../src/agents/receipts.ts';
import { sealAudit } from '../../src/audit/seal.ts';
import { API_TOKEN, KEYRING, startService, type TestService } from '../support/http-service.ts';
import { stampAsNew } from '../support/stamp.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

let service: TestService;
beforeAll(async () => {
  service = await startService();
});
afterAll(() => service.stop());

/** The fields that these tests read, each on its own routes. */
interface Answer {
  items: { noticeId: string }[];
  nextCursor: string | null;
  head: { position: number; hash: string };
  flaw: object | null;
  hash: string;
}

const get = async (path: string) => {
  const response = await service.ask(path);
  return { status: response.status, body: (await response.json()) as Answer };
};
const create = async (agentId: string) => {
  await service.ask('/api/agents', { json: { agentId, userId: 'u1', region: 'eu-west' } });
};

test('an order that needs attention is a notice, once, with its deliveries', async () => {
  const event = paidCheckout({ region: 'moon' });
  await deliver(service.url, event);
  await deliver(service.url, event);
  const { body } = await get('/api/notices');
  expect(body).toMatchObject({
    items: [
      {
        type: 'order.attention',
        agentId: null,
        data: { sessionId: event.data.object.id, customerId: event.data.object.customer },
        deliveries: [],
      },
    ],
    nextCursor: null,
  });
  const { noticeId } = body.items[0]!;
  await sql`insert into notice_deliveries (notice_id, receiver, sequence, lane, attempts, answer, error)
    values (${noticeId}, 'webhook:example.com:0123', 1, ${noticeId}, 2, 500, 'status 500')`.execute(
    service.database,
  );
  expect((await get('/api/notices')).body).toMatchObject({
    items: [
      {
        deliveries: [
          {
            receiver: 'webhook:example.com:0123',
            status: 'pending',
            attempts: 2,
            answer: 500,
            deliveredAt: null,
          },
        ],
      },
    ],
  });
  expect((await get('/api/notices?agentId=nobody')).body).toEqual({ items: [], nextCursor: null });
});

test('the audit log is listed page by page, newest first, for all agents or one', async () => {
  await create('p1');
  await create('p2');
  const first = await get('/api/audit?limit=1');
  expect(first.body.items).toMatchObject([{ agentId: 'p2', actor: 'operator', action: 'agent.create' }]);
  const second = await get(`/api/audit?limit=1&cursor=${first.body.nextCursor}`);
  expect(second.body.items).toMatchObject([{ agentId: 'p1', position: null, hash: null }]);
  expect((await get('/api/audit?agentId=p1')).body.items).toHaveLength(1);
  expect((await get('/api/audit?actor=x')).status).toBe(400);
  expect((await service.ask('/api/audit', { headers: { authorization: 'Bearer wrong' } })).status).toBe(401);
});

test('the chain is verified, against an end that was noted earlier too', async () => {
  await create('v1');
  while ((await sealAudit(service.database, KEYRING)) > 0);
  const whole = await get('/api/audit/verification');
  expect(whole.body).toMatchObject({ waiting: 0, flaw: null });
  const { position, hash } = whole.body.head;
  expect((await get(`/api/audit/verification?head=${position}:${hash}`)).body.flaw).toBeNull();
  expect((await get('/api/audit/verification?head=x')).status).toBe(400);
  await sql`update audit_log set actor = 'nobody' where agent_id = 'v1'`.execute(service.database);
  expect((await get('/api/audit/verification')).body.flaw).toMatchObject({ kind: 'altered', position });
  await sql`update audit_log set actor = 'operator' where agent_id = 'v1'`.execute(service.database);
});

test('a receipt over the API and on the agent’s page, with its link in the chain', async () => {
  await create('r1');
  expect(await get('/api/agents/r1/receipt')).toMatchObject({ status: 404 });
  expect(await get('/api/agents/nobody/receipt')).toMatchObject({ status: 404 });
  await service.database
    .transaction()
    .execute((trx) => issueReceipt(trx, { agentId: 'r1', kind: 'destroy', evidence: undefined }));
  expect((await get('/api/agents/r1/receipt')).body).toMatchObject({ agentId: 'r1', chain: null });
  while ((await sealAudit(service.database, KEYRING)) > 0);
  const { body } = await get('/api/agents/r1/receipt');
  expect(body).toMatchObject({
    body: { agentId: 'r1', evidence: null },
    chain: { hash: expect.any(String) },
  });
  const page = await service.ask('/agents/r1', { headers: { authorization: `Bearer ${API_TOKEN}` } });
  const text = await page.text();
  expect(text).toContain('Receipt of its deletion');
  expect(text).toContain(String(body.hash));
  expect(text).toContain('receipt.issued');
});

test('a service without the clouds’ keys goes on with the rows that its admin vouches for', async () => {
  const accept = async (path = '') => {
    const answer = await service.ask(`/api/rebuild-state${path}`, {
      json: path === '' ? {} : { note: 'all is here' },
    });
    return { status: answer.status, body: await answer.json() };
  };
  expect(await accept('/accept')).toMatchObject({ status: 409 });
  await stampAsNew(service.database);
  await sql`update installation set recovery = 'needed'`.execute(service.database);
  expect(await accept()).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('no access') },
  });
  expect(await accept('/accept')).toEqual({ status: 200, body: { accepted: true } });
  await create('after');
});
