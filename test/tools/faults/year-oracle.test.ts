import { expect, test } from 'vitest';
import { nameHolding } from '../../../tools/faults/year-evidence.ts';
import {
  type Evidence,
  type Facts,
  type InvoiceFacts,
  isPaidUp,
  judge,
  judgeHarm,
} from '../../../tools/faults/year-oracle.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const START = Date.UTC(2027, 0, 1);
const day = (days: number) => START + days * DAY;
const iso = (days: number) => new Date(day(days)).toISOString();

const invoice = (on: number, status = 'paid'): InvoiceFacts => ({
  status,
  createdAt: day(on),
  dueAt: day(on),
  remaining: status === 'paid' ? 0 : 2900,
  attempted: true,
  reason: 'subscription_cycle',
});

const facts = (changes: Partial<Facts> = {}): Facts => ({
  subscriptionId: 'sub_1',
  agentId: 'a1',
  status: 'active',
  cancelAt: null,
  canceledAt: null,
  endedAt: null,
  endWasRequested: false,
  trialEnd: null,
  periodEnd: day(30),
  invoices: [invoice(-30)],
  disputes: [],
  ...changes,
});

const pastDue = facts({ status: 'past_due', invoices: [invoice(0, 'open'), invoice(-30)] });
const ended = facts({ status: 'canceled', canceledAt: day(0), endedAt: day(0), endWasRequested: true });

const notice = (type: string, key: string, on: number) => ({ type, key, at: day(on) });
const failed = notice('agent.payment_failed', `sub_1:debt:${iso(0)}:payment_failed`, 0);
const warned = notice('agent.will_suspend', `sub_1:debt:${iso(0)}:will_suspend`, 7);
const deletion = (since: number, on: number) =>
  notice('agent.will_delete', `sub_1:debt:${iso(0)}:will_delete:${iso(since)}:0:168h`, on);
const endWarned = notice('agent.will_suspend', `sub_1:end:${iso(0)}:will_suspend`, 0);

const evidence = (changes: Partial<Evidence> = {}): Evidence => ({
  notices: [failed, warned],
  suspendedSince: null,
  isHeldForAbuse: false,
  before: 'server on',
  ...changes,
});
const suspended = (changes: Partial<Evidence> = {}) =>
  evidence({ suspendedSince: day(14), before: 'server off', ...changes });

test.each<[string, Facts, Evidence, number, string]>([
  ['is paid', facts(), evidence(), 10, 'server on'],
  ['owes for less than two weeks', pastDue, evidence(), 13.9, 'server on'],
  ['owes for two weeks', pastDue, evidence(), 14.1, 'server off'],
  ['was warned late', pastDue, evidence({ notices: [{ ...warned, at: day(13.9) }] }), 14.1, 'server on'],
  ['is suspended for a week', pastDue, suspended(), 21.1, 'snapshot'],
  ['stays suspended meanwhile', pastDue, suspended(), 20.9, 'server off'],
  [
    'is suspended for a month',
    pastDue,
    suspended({ notices: [warned, deletion(14, 37)], before: 'snapshot' }),
    44.1,
    'nothing',
  ],
  [
    'is to be deleted, and disputes',
    { ...pastDue, disputes: [{ isOpen: true, isLost: false, openedAt: day(30), isCurrent: false }] },
    suspended({ notices: [warned, deletion(14, 37)], before: 'snapshot' }),
    44.1,
    'snapshot',
  ],
  ['has paid again', facts(), suspended({ before: 'snapshot' }), 30, 'server on'],
  [
    'has paid, and mines coins',
    facts(),
    suspended({ before: 'snapshot', isHeldForAbuse: true }),
    30,
    'snapshot',
  ],
  ['mines coins', facts(), evidence({ isHeldForAbuse: true }), 1, 'server off'],
  ['was given up', { ...pastDue, status: 'unpaid' }, evidence(), 8.1, 'server off'],
  ['will end', facts({ cancelAt: day(9), canceledAt: day(0) }), evidence(), 1, 'server on'],
  ['has ended a moment ago', ended, evidence({ notices: [endWarned] }), 0.5, 'server on'],
  ['has ended, announced', ended, evidence({ notices: [endWarned] }), 1, 'server off'],
  [
    'has ended three days ago',
    ended,
    suspended({
      suspendedSince: day(1),
      notices: [endWarned, notice('agent.will_delete', `sub_1:end:${iso(0)}:will_delete:${iso(1)}:0:72h`, 1)],
    }),
    3.1,
    'nothing',
  ],
  ['was deleted before', facts(), evidence({ before: 'nothing' }), 50, 'nothing'],
])('an agent whose customer %s', (_what, state, known, on, holding) => {
  expect(judge(state, known, day(on)).holding).toBe(holding);
});

test.each<[string, Facts, Evidence, number, string]>([
  ['the first warning', pastDue, evidence({ notices: [] }), 1, 'payment_failed'],
  ['the second warning', pastDue, evidence({ notices: [failed] }), 7.1, 'will_suspend'],
  ['the end', ended, evidence({ notices: [] }), 0.1, 'will_suspend'],
  ['the deletion', pastDue, suspended(), 37.1, 'will_delete'],
])('%s has to be announced', (_what, state, known, on, missing) => {
  expect(judge(state, known, day(on)).problems).toEqual([expect.stringContaining(missing)]);
});

test('whoever owes nothing and has not left is paid up', () => {
  expect(isPaidUp(facts(), day(1))).toBe(true);
  expect(isPaidUp(facts({ cancelAt: day(9), canceledAt: day(0) }), day(1))).toBe(true);
  expect(isPaidUp(pastDue, day(1))).toBe(false);
  expect(isPaidUp(ended, day(1))).toBe(false);
});

test('a harm is wrong without an announcement, one that is too young, and after a payment', () => {
  const harm = { kind: 'suspend', at: day(14) };
  expect(judgeHarm(harm, { notices: [warned], paidUpSince: null })).toEqual([]);
  expect(judgeHarm(harm, { notices: [], paidUpSince: null })).toHaveLength(1);
  expect(judgeHarm(harm, { notices: [{ ...warned, at: day(13.5) }], paidUpSince: null })).toHaveLength(1);
  expect(judgeHarm(harm, { notices: [warned], paidUpSince: day(13) })).toEqual([
    expect.stringContaining('paid up since'),
  ]);
  expect(judgeHarm({ ...harm, kind: 'destroy' }, { notices: [warned], paidUpSince: null })).toHaveLength(1);
});

test('anything beside the four rightful states is named as it is', () => {
  const kept = { sshKeys: 1, devices: 1, volumes: 0 };
  expect(nameHolding(undefined)).toBe('nothing');
  expect(nameHolding({ servers: ['running'], snapshots: [], ...kept })).toBe('server on');
  expect(nameHolding({ servers: [], snapshots: ['available'], ...kept })).toBe('snapshot');
  expect(nameHolding({ servers: ['off'], snapshots: ['available'], ...kept })).toContain('servers: off;');
  expect(nameHolding({ servers: [], snapshots: [], ...kept })).toContain('1 devices');
});
