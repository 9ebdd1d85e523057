import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jsonText } from '../../src/database/storable.ts';
import { deliverDue } from '../../src/notices/deliver.ts';
import { type NewNotice, queueNotice } from '../../src/notices/queue-notice.ts';
import type { Notice, Receiver } from '../../src/notices/receiver.ts';
import { createReceivers } from '../../src/notices/receivers.ts';
import { spreadNotices } from '../../src/notices/spread.ts';
import { MAILED, MAILS, readTemplates } from '../../src/notices/templates.ts';
import { Secret } from '../../src/secret.ts';
import { MAIL_PASSWORD, type MailServer, openMailServer } from '../support/mail-server.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';

let at: OperationsFixture;
let server: MailServer;
let receivers: Receiver[];
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await at.database.deleteFrom('notices').execute();
  at.logged.length = 0;
  server = await openMailServer();
  const mail = { smtpUrl: new Secret(server.url), from: 'agents@example.com', operator: 'ops@example.com' };
  receivers = createReceivers({ webhooks: undefined, mail, templates: undefined });
  await order(at, 'a1');
});
afterEach(() => server.close());

const running = new AbortController().signal;
const TIME = new Date('2027-03-01T12:00:00.000Z');

async function tell(type: NewNotice['type'], data: NewNotice['data'], agentId: string | null = 'a1') {
  const key = `${type} ${agentId}`;
  const notice = { type, agentId: agentId ?? undefined, key, data, at: TIME };
  await at.database.transaction().execute((trx) => queueNotice(trx, notice));
  await spreadNotices(at.database, receivers);
  for (const receiver of receivers) await deliverDue({ ...at, receivers }, receiver, running);
}

const deliveries = () => at.database.selectFrom('notice_deliveries').selectAll().execute();

test('the buyer is told in plain words, at the address in the notice', async () => {
  await tell('agent.will_suspend', { buyerEmail: 'buyer@example.com', harmAt: '2027-03-04T12:00:00.000Z' });
  expect(server.mails).toHaveLength(1);
  const [mail] = server.mails;
  expect(mail).toMatchObject({ from: 'agents@example.com', to: ['buyer@example.com'], user: 'mailer' });
  expect(mail!.headers.get('subject')).toBe(
    'Your agent a1 will be switched off on 4 March 2027 at 12:00 UTC',
  );
  expect(mail!.headers.get('message-id')).toMatch(/^<msg_[0-9a-f]{32}\.buyer@example\.com>$/);
  expect(mail!.text).toContain('a payment for your agent a1 is still open');
  expect(await deliveries()).toMatchObject([
    { receiver: 'mail:buyer', address: 'buyer@example.com', status: 'delivered', answer: 250 },
  ]);
});

test('without one the address is that of the checkout', async () => {
  const payload = { data: { object: { customer_details: { email: 'paid@example.com' } } } };
  const event = { id: 'evt_1', type: 't', livemode: false, outcome: 'acted', created_at: TIME } as const;
  await at.database
    .insertInto('stripe_events')
    .values({ ...event, object_id: null, reason: null, payload: jsonText(payload) })
    .execute();
  await at.database
    .insertInto('orders')
    .values({
      session_id: 'cs_1',
      stripe_event_id: 'evt_1',
      agent_id: 'a1',
      attention: null,
      subscription_id: null,
      customer_id: null,
      metadata: jsonText({}),
    })
    .execute();
  await tell('agent.deleted', {});
  expect(server.mails.map(({ to }) => to)).toEqual([['paid@example.com']]);
});

test('the operator is told what needs a person, and nothing of every new agent', async () => {
  await tell('order.attention', { sessionId: 'cs_9', reason: 'no region' }, null);
  await tell('agent.running', { userId: 'u1', recovered: false });
  await tell('agent.suspended', { userId: 'u1' });
  expect(server.mails.map(({ to, headers }) => [to[0], headers.get('subject')])).toEqual([
    ['ops@example.com', 'An order needs attention'],
  ]);
  expect(server.mails[0]!.text).toContain('no region');
  expect(server.mails[0]!.text).toContain('Customer: unknown');
  await at.database.deleteFrom('notices').execute();
  await tell('agent.running', { userId: 'u1', recovered: true });
  expect(server.mails[1]!.headers.get('subject')).toBe('Agent a1 is running after all');
});

test('nothing in a notice becomes a header or another recipient', async () => {
  const evil = 'x\r\nBcc: stranger@example.com\r\n\r\nbody\u2028';
  await tell('breaker.tripped', { breaker: evil, cause: evil }, null);
  const [mail] = server.mails;
  expect(mail!.to).toEqual(['ops@example.com']);
  expect(mail!.headers.has('bcc')).toBe(false);
  expect(mail!.headers.get('subject')).toContain('x Bcc: stranger@example.com body');
  for (const buyerEmail of [
    'a@example.com, b@example.com',
    'a@example.com\r\nBcc: b@example.com',
    'Someone <a@example.com>',
    'nobody',
    { address: 'a@example.com' },
  ]) {
    await at.database.deleteFrom('notices').execute();
    await tell('agent.will_delete', { buyerEmail });
  }
  expect(server.mails).toHaveLength(1);
});

test('an address that is refused for good is given up; one that is refused for now is tried again', async () => {
  server.refused.set('gone@example.com', 550).set('full@example.com', 452);
  await tell('agent.will_delete', { buyerEmail: 'gone@example.com' });
  expect(await deliveries()).toMatchObject([{ status: 'failed', attempts: 1, answer: 550 }]);
  await at.database.deleteFrom('notices').execute();
  await tell('agent.will_delete', { buyerEmail: 'full@example.com' });
  expect(await deliveries()).toMatchObject([{ status: 'pending', attempts: 1, answer: 452 }]);
});

test('a mail that is refused for good after its text is given up; one that is refused for now is tried again', async () => {
  server.refusesMail = 554;
  await tell('agent.will_delete', { buyerEmail: 'buyer@example.com' });
  expect(await deliveries()).toMatchObject([{ status: 'failed', attempts: 1, answer: 554 }]);
  await at.database.deleteFrom('notices').execute();
  server.refusesMail = 451;
  await tell('agent.will_delete', { buyerEmail: 'buyer@example.com' });
  expect(await deliveries()).toMatchObject([{ status: 'pending', attempts: 1, answer: 451 }]);
});

test('a mail server that is away is tried again, and its password is in no row and no log line', async () => {
  const mail = { from: 'agents@example.com', operator: undefined };
  const wrong = new Secret(server.url.replace(MAIL_PASSWORD, 'wrong-password-1'));
  receivers = createReceivers({
    webhooks: undefined,
    mail: { ...mail, smtpUrl: wrong },
    templates: undefined,
  });
  await tell('agent.deleted', { buyerEmail: 'buyer@example.com' });
  await server.close();
  await at.database
    .updateTable('notice_deliveries')
    .set({ next_at: new Date(0) })
    .execute();
  for (const receiver of receivers) await deliverDue({ ...at, receivers }, receiver, running);
  const rows = await deliveries();
  expect(rows).toMatchObject([{ status: 'pending', attempts: 2, answer: null }]);
  expect(JSON.stringify([rows, at.logged])).not.toContain('wrong-password-1');
  server = await openMailServer();
});

describe('templates', () => {
  const notice: Notice = { noticeId: 'msg_1', type: 'agent.deleted', agentId: 'a1', at: TIME, data: {} };

  test('every mail has a built-in text, and no text is left over', () => {
    const files = readdirSync('src/notices/templates').sort();
    expect(files).toEqual(MAILS.map((name) => `${name}.txt`).sort());
    const write = readTemplates(undefined);
    for (const type of MAILED.buyer)
      expect(write({ ...notice, type, data: { harmAt: TIME.toISOString() } }, 'buyer').text).not.toMatch(
        /unknown|\{\{/,
      );
  });

  test('a text that looks like a time and is none stays as it is', () => {
    const write = readTemplates(undefined);
    for (const harmAt of ['2027-99-01T12:00:00Z', '2027-02-30T12:00:00Z', '2027-03-01T25:00Z']) {
      const { subject } = write({ ...notice, type: 'agent.will_delete', data: { harmAt } }, 'buyer');
      expect(subject).toBe(`Your agent a1 and its data will be deleted on ${harmAt}`);
    }
  });

  test('an operator’s own text replaces the built-in one; a file that is none is refused', () => {
    const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-templates-'));
    const file = join(folder, 'agent.deleted.buyer.txt');
    try {
      writeFileSync(file, 'Subject: Farewell, {{agentId}}\n\n{{at}} {{toString}} {{nothing}}\n');
      expect(readTemplates(folder)(notice, 'buyer')).toEqual({
        subject: 'Farewell, a1',
        text: '1 March 2027 at 12:00 UTC unknown unknown\n',
      });
      for (const content of ['', 'Hello', 'Subject: x\nno empty line', 'Subject: x\n\n{{ spaced }}']) {
        writeFileSync(file, content);
        expect(() => readTemplates(folder)).toThrow('agent.deleted.buyer.txt');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
