import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Edge } from '../../src/agents/states.ts';
import { tellChanges } from '../../src/agents/tell-change.ts';
import { announcementData } from '../../src/billing/follow/act.ts';
import { replaceFindings } from '../../src/billing/follow/findings.ts';
import { recordStripeEvent } from '../../src/billing/record.ts';
import type { Transaction } from '../../src/database/connect.ts';
import type { NoticeType } from '../../src/database/vocabulary.ts';
import { trip } from '../../src/limits/trip.ts';
import { queueNotice } from '../../src/notices/queue-notice.ts';
import type { Notice } from '../../src/notices/receiver.ts';
import { MAILED, MAILS, type Reader, readTemplates } from '../../src/notices/templates.ts';
import { parseStripeEvent } from '../../src/stripe/event.ts';
import { type OperationsFixture, openOperations, order } from '../support/operations-fixture.ts';
import { paidCheckout } from '../support/stripe-events.ts';

const TIME = new Date('2027-03-01T12:00:00.000Z');
const write = readTemplates(undefined);

let at: OperationsFixture;
beforeAll(async () => {
  at = await openOperations();
});
afterAll(() => at.close());
beforeEach(async () => {
  await at.empty();
  await order(at, 'a1');
});

const became = (edge: Edge) => (trx: Transaction) =>
  tellChanges(trx, [{ agentId: 'a1', userId: 'u1', error: 'x', edge }]);
const announced =
  (
    type: NoticeType,
    harm: 'suspend' | 'hibernate' | 'destroy',
    harmAt: Date | null,
    unpaidSince: Date | null = TIME,
  ) =>
  async (trx: Transaction) => {
    const decision = { unpaidSince, suspendAt: TIME, deleteAt: TIME };
    const data = {
      agentId: 'a1',
      ...announcementData({ harm, harmAt }, { subscriptionId: 'sub_1', decision }),
    };
    await queueNotice(trx, { type, agentId: 'a1', key: type, data, at: TIME });
  };
const mismatch = { class: 'mismatch', key: 'k', agentId: 'a1', subscriptionId: 'sub_1' } as const;

/** Everything that queues a notice, with each of its cases. */
const PRODUCERS: [string, (trx: Transaction) => Promise<unknown>][] = [
  ['agent.running', became({ from: 'provisioning', to: 'running', by: 'provision succeeds' })],
  ['agent.failed', became({ from: 'provisioning', to: 'failed', by: 'provision fails for the last time' })],
  ['agent.suspended', became({ from: 'running', to: 'suspended', by: 'suspend succeeds' })],
  ['agent.resumed', became({ from: 'suspended', to: 'running', by: 'resume succeeds' })],
  ['agent.deleted', became({ from: 'destroying', to: 'destroyed', by: 'destroy succeeds' })],
  ['agent.payment_failed', announced('agent.payment_failed', 'suspend', TIME)],
  ['agent.will_suspend', announced('agent.will_suspend', 'suspend', TIME)],
  ['agent.will_suspend.end', announced('agent.will_suspend', 'suspend', TIME, null)],
  ['agent.will_suspend.hibernate', announced('agent.will_suspend', 'hibernate', TIME)],
  ['agent.will_suspend.hibernate-undated', announced('agent.will_suspend', 'hibernate', null)],
  ['agent.will_delete', announced('agent.will_delete', 'destroy', TIME)],
  [
    'order.attention',
    () =>
      recordStripeEvent(at, parseStripeEvent(JSON.stringify(paidCheckout({ region: 'moon' }))), 'sandbox'),
  ],
  ['breaker.tripped', (trx) => trip(trx, 'destroys', { cause: 'Six agents within an hour.', at: TIME })],
  [
    'fleet.mismatch',
    (trx) =>
      replaceFindings(trx, { source: 's' }, [{ ...mismatch, cause: 'No agent.', cure: 'Look.' }], TIME),
  ],
];

/** The fields of a type in the table of docs/notices.md. */
function documented(type: string): string[] {
  const [row] = readFileSync('docs/notices.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`| \`${type}\``));
  return [...row!.split('|')[3]!.matchAll(/`(\w+)`/g)].map(([, field]) => field!);
}

/** Lets a producer queue its notice, and returns it. */
async function produced(produce: (trx: Transaction) => Promise<unknown>): Promise<Notice> {
  await at.database.transaction().execute(produce);
  const rows = await at.database.selectFrom('notices').selectAll().execute();
  expect(rows).toHaveLength(1);
  const { notice_id: noticeId, type, agent_id: agentId, at: time, data } = rows[0]!;
  return { noticeId, type, agentId, at: time, data };
}

test('every mail has a producer here', () => {
  const mails = PRODUCERS.map(([name]) => name);
  for (const name of MAILS) expect(mails).toContain(name.replace(/\.\w+$/, ''));
});

describe.each(PRODUCERS)('%s', (name, produce) => {
  const readers = (['operator', 'buyer'] as const).filter((reader) => MAILS.includes(`${name}.${reader}`));

  test('has the documented fields, and its mail names no others', async () => {
    const notice = await produced(produce);
    const fields = Object.keys(notice.data).filter((field) => field !== 'agentId');
    expect(fields.sort()).toEqual(documented(notice.type).sort());
    for (const reader of readers) {
      const text = readFileSync(`src/notices/templates/${name}.${reader}.txt`, 'utf8');
      const names = [...text.matchAll(/\{\{(\w+)\}\}/g)].map(([, field]) => field);
      expect([...fields, 'agentId', 'type', 'at']).toEqual(expect.arrayContaining(names));
    }
  });

  test('has a mail that is whole', async () => {
    const notice = await produced(produce);
    // An agent that has not failed has no error to tell.
    const data = notice.type === 'agent.failed' ? { ...notice.data, error: 'no server' } : notice.data;
    for (const reader of readers) {
      const { subject, text } = write({ ...notice, data }, reader satisfies Reader);
      // The reason may itself say what is unknown.
      const own = text.replace(String(data.reason), '');
      expect(`${subject}\n${own}`).not.toMatch(/unknown|\{\{|null/);
      expect(MAILED[reader]).toContain(notice.type);
    }
  });
});

test('a buyer whose server is stored without a day reads that, and that the data is kept', async () => {
  const { subject, text } = write(
    await produced(announced('agent.will_suspend', 'hibernate', null)),
    'buyer',
  );
  expect(subject).toBe('Your agent a1 stays switched off');
  expect(text).toContain('stored as a snapshot');
  expect(text).toContain('data is kept');
});

test('the mail about a mismatch names the agent, and that about a breaker says what to do', async () => {
  const producer = (name: string) => PRODUCERS.find(([one]) => one === name)![1];
  const { text } = write(await produced(producer('fleet.mismatch')), 'operator');
  expect(text).toContain('Agent: a1');
  await at.database.deleteFrom('notices').execute();
  const breaker = write(await produced(producer('breaker.tripped')), 'operator').text;
  expect(breaker).toContain('Six agents within an hour.');
  expect(breaker).toContain('What to do: Nothing is deleted meanwhile.');
});
