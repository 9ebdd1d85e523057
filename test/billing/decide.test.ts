import { describe, expect, it } from 'vitest';
import { decide } from '../../src/billing/decide.ts';
import { createPolicy } from '../../src/billing/policy.ts';
import type { Subscription } from '../../src/stripe/subscription.ts';
import {
  agentView,
  day,
  follow,
  invoiceView,
  pastDueView,
  subscriptionView,
  tell,
  testPolicy,
} from '../support/subscription-views.ts';

const now = (days: number, subscription: Subscription | 'unknown', agent = agentView()) =>
  decide(subscription, agent, testPolicy, day(days));
const on = (subscription: Subscription | 'unknown', ...days: number[]) =>
  days.map((one) => [one, subscription] as const);
/** An agent that was suspended on day 14 for a renewal that was due on day 0. */
const suspended = () => follow(on(pastDueView([0]), 0, 7, 14)).at(-1)!.agent;

describe('the timetable', () => {
  it('warns at once and after a week, suspends, hibernates, and deletes after three notices', () => {
    const looks = follow(on(pastDueView([0]), 0, 1, 7, 13.9, 14, 20.9, 21, 37, 38, 41, 43, 43.9, 44));
    expect(tell(looks)).toEqual([
      'day 0: run +payment_failed',
      'day 1: run',
      'day 7: run +will_suspend',
      'day 13.9: run',
      'day 14: suspend',
      'day 20.9: suspend',
      'day 21: hibernate',
      'day 37: hibernate +will_delete',
      'day 38: hibernate',
      'day 41: hibernate +will_delete',
      'day 43: hibernate +will_delete',
      'day 43.9: hibernate',
      'day 44: destroy',
    ]);
    expect(looks[1]!.decision).toMatchObject({
      state: 'past_due',
      unpaidSince: day(0),
      suspendAt: day(14),
      hibernateAt: day(21),
      deleteAt: day(44),
      nextAt: day(7),
    });
    const keys = looks.flatMap(({ decision }) => decision.announce.map(({ key }) => key));
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('suspends as soon as Stripe has given up, but not unannounced', () => {
    const unpaid = pastDueView([0], { status: 'unpaid' });
    const looks = follow(on(unpaid, 3, 3.5, 3.75));
    expect(tell(looks)).toEqual(['day 3: run +will_suspend', 'day 3.5: run', 'day 3.75: suspend']);
    expect(looks[2]!.decision.deleteAt).toEqual(day(33.75));
  });

  it('postpones harm that was never announced, however late it is', () => {
    const looks = follow(on(pastDueView([0]), 100, 100.7, 100.75, 129, 130.75, 131));
    expect(tell(looks)).toEqual([
      'day 100: run +will_suspend',
      'day 100.7: run',
      'day 100.75: suspend',
      'day 129: hibernate +will_delete',
      'day 130.75: destroy',
      'day 131: destroy',
    ]);
  });

  it('suspends at the end of a cancelled subscription and deletes it three days later', () => {
    const ending = subscriptionView({ cancelAt: day(30), canceledAt: day(10) });
    const ended = { ...ending, status: 'canceled', endedAt: day(30), cancelReason: 'requested' } as const;
    const looks = follow([...on(ending, 10, 23, 29), ...on(ended, 30, 32, 32.9, 33)]);
    expect(tell(looks)).toEqual([
      'day 10: run',
      'day 23: run +will_suspend',
      'day 29: run',
      'day 30: suspend +will_delete',
      'day 32: suspend +will_delete',
      'day 32.9: suspend',
      'day 33: destroy',
    ]);
    expect(looks.map(({ decision }) => decision.state)).toEqual([
      ...['ending', 'ending', 'ending'],
      ...['ended', 'ended', 'ended', 'ended'],
    ]);
  });

  it('runs on after a cancellation was undone, and announces the next one again', () => {
    const ending = (canceled: number) => subscriptionView({ cancelAt: day(30), canceledAt: day(canceled) });
    const looks = follow([...on(ending(24), 24), ...on(subscriptionView(), 25), ...on(ending(26), 26)]);
    expect(tell(looks)).toEqual(['day 24: run +will_suspend', 'day 25: run', 'day 26: run +will_suspend']);
    expect(looks[1]!.decision).toMatchObject({ suspendAt: null, deleteAt: null, cancelAt: null });
  });

  it('asks hourly for a cancellation that is due until Stripe has carried it out', () => {
    const overdue = subscriptionView({ cancelAt: day(30), canceledAt: day(10), periodEnd: day(30) });
    expect(now(30.5, overdue)).toMatchObject({ demand: 'run', state: 'ending' });
    expect(now(30.5, overdue).nextAt).toEqual(new Date(day(30.5).getTime() + 3600 * 1000));
  });

  it('takes short durations for a trial run, with notices that are as short', () => {
    const minutes = (n: number) => n * 60_000;
    const policy = createPolicy({
      suspendAfterMs: minutes(4),
      hibernateAfterMs: minutes(4),
      deleteAfterMs: minutes(8),
      cancelGraceMs: minutes(4),
    });
    expect(policy).toMatchObject({ warnAgainAfterMs: minutes(2), leastNoticeMs: minutes(1) });
    const at = (n: number) => n / (24 * 60);
    const looks = follow(on(pastDueView([0]), 0, at(2), at(4), at(8), at(12)), { policy });
    expect(looks.map(({ decision }) => decision.demand)).toEqual([
      ...['run', 'run', 'suspend', 'hibernate', 'destroy'],
    ]);
  });
});

describe('what others got wrong', () => {
  it('1: a payment after the suspension brings the agent back by itself', () => {
    const paid = now(15, subscriptionView({ invoices: [invoiceView(0)] }), suspended());
    expect(paid).toMatchObject({ demand: 'run', hold: { wanted: false }, state: 'paid', deleteAt: null });
  });

  it('2: deciding twice about the same invoice has one effect', () => {
    const [first, second] = follow(on(pastDueView([0]), 0, 0));
    expect(first!.decision.announce).toHaveLength(1);
    expect(second!.decision).toEqual({ ...first!.decision, announce: [] });
  });

  it('3: what is demanded does not depend on what the agent says it is', () => {
    const agent = { ...suspended(), status: 'running' as const };
    expect(now(15, pastDueView([0]), agent).demand).toBe('suspend');
    expect(now(15, subscriptionView(), { ...agent, status: 'suspended' }).demand).toBe('run');
  });

  it('4: a recovery cancels every pending deletion, and a later failure is announced again', () => {
    const looks = follow([
      ...on(pastDueView([0]), 0, 7, 14, 37, 43),
      ...on(subscriptionView({ invoices: [invoiceView(0)] }), 43.5, 44, 60),
      ...on(pastDueView([60]), 60, 67, 74, 80),
    ]);
    expect(tell(looks.slice(5))).toEqual([
      'day 43.5: run',
      'day 44: run',
      'day 60: run',
      'day 60: run +payment_failed',
      'day 67: run +will_suspend',
      'day 74: suspend',
      'day 80: suspend',
    ]);
    expect(looks[6]!.decision).toMatchObject({ deleteAt: null, suspendAt: null, nextAt: null });
  });

  it('5: only the present state counts, whatever was seen before', () => {
    const ended = subscriptionView({ status: 'canceled', endedAt: day(1), canceledAt: day(1) });
    const [, , last] = follow([...on(subscriptionView(), 1), ...on(ended, 1), ...on(ended, 2)]);
    const [, direct] = follow([...on(ended, 1), ...on(ended, 2)]);
    expect(last!.decision).toEqual(direct!.decision);
  });

  it('6: paying the oldest invoice starts no harm that was not announced', () => {
    const second = pastDueView([13]);
    const looks = follow([...on(pastDueView([0, 13]), 0, 7, 13.5), ...on(second, 14, 20, 26.9, 27)]);
    expect(tell(looks)).toEqual([
      'day 0: run +payment_failed',
      'day 7: run +will_suspend',
      'day 13.5: run',
      'day 14: run +payment_failed',
      'day 20: run +will_suspend',
      'day 26.9: run',
      'day 27: suspend',
    ]);
  });

  it('6: a suspended agent that pays its oldest invoice gets its full time before a deletion', () => {
    const agent = suspended();
    const partly = now(45, pastDueView([30]), agent);
    expect(partly).toMatchObject({ demand: 'suspend', unpaidSince: day(30), deleteAt: day(74) });
    expect(partly.announce).toMatchObject([{ type: 'agent.will_suspend', harm: 'hibernate' }]);
  });

  it.each([
    ['voided', invoiceView(0, { status: 'void' })],
    ['credited', invoiceView(0, { status: 'paid', amountRemaining: 0 })],
    ['paid out of band', invoiceView(0, { status: 'uncollectible', paid: true })],
    ['credited in full without being paid', invoiceView(0, { status: 'open', amountRemaining: 0 })],
  ])('7: an invoice that is %s is not owed', (_, settled) => {
    const { demand, hold } = now(20, pastDueView([], { invoices: [settled] }), suspended());
    expect({ demand, wanted: hold.wanted }).toEqual({ demand: 'run', wanted: false });
  });

  it('8: of two subscriptions of one customer only the unpaid one stops', () => {
    const { announcements } = suspended();
    const other = subscriptionView({ subscriptionId: 'sub_2' });
    expect(now(15, other, agentView({ announcements }))).toMatchObject({ demand: 'run', announce: [] });
    // Announcements about the first subscription do not count for the second.
    const unpaid = pastDueView([0], { subscriptionId: 'sub_2' });
    expect(now(15, unpaid, agentView({ announcements })).demand).toBe('run');
  });

  it('9: later failures neither shorten nor extend the time', () => {
    const looks = follow([...on(pastDueView([0]), 0, 7), ...on(pastDueView([0, 10]), 10, 13.9, 14)]);
    expect(tell(looks)).toEqual([
      'day 0: run +payment_failed',
      'day 7: run +will_suspend',
      'day 10: run',
      'day 13.9: run',
      'day 14: suspend',
    ]);
  });

  it('12: an agent that was destroyed while its subscription goes on is flagged', () => {
    const agent = agentView({ status: 'destroyed' });
    expect(now(5, subscriptionView(), agent).attention).toMatchObject([{ class: 'mismatch' }]);
    const ended = subscriptionView({ status: 'canceled', endedAt: day(4), canceledAt: day(4) });
    expect(now(5, ended, agent)).toMatchObject({ attention: [], announce: [], nextAt: null });
  });
});

describe('disputes', () => {
  const lost = { lostDisputeOfCurrentPeriod: true, lostDisputeAt: day(2), closedDisputes: 1 };

  it('an open one stops nothing', () => {
    const disputed = subscriptionView({ hasOpenDispute: true });
    expect(now(5, disputed)).toMatchObject({ demand: 'run', disputeHold: true, state: 'paid' });
    expect(now(5, disputed).attention).toMatchObject([{ cause: expect.stringContaining('disputed') }]);
  });

  it('an open one forbids hibernation and deletion, and the deletion is announced again afterwards', () => {
    const disputed = pastDueView([0], { hasOpenDispute: true });
    const decided = pastDueView([0], { closedDisputes: 1 });
    const looks = follow([
      ...on(pastDueView([0]), 0, 7, 14, 43),
      ...on(disputed, 43.5, 44, 90),
      ...on(decided, 91, 92),
    ]);
    expect(tell(looks.slice(3))).toEqual([
      'day 43: hibernate +will_delete',
      'day 43.5: suspend',
      'day 44: suspend',
      'day 90: suspend',
      'day 91: hibernate +will_delete',
      'day 92: destroy',
    ]);
    expect(looks[5]!.decision).toMatchObject({ deleteAt: null, hibernateAt: null });
  });

  it('a lost one about the current period counts as unpaid, until the next period is paid', () => {
    const looks = follow([
      ...on(subscriptionView(lost), 3, 9, 16),
      ...on(subscriptionView({ closedDisputes: 1 }), 30),
    ]);
    expect(tell(looks)).toEqual([
      'day 3: run +payment_failed',
      'day 9: run +will_suspend',
      'day 16: suspend',
      'day 30: run',
    ]);
  });

  it('a lost one about an old renewal changes nothing', () => {
    expect(now(30, subscriptionView({ closedDisputes: 1 }))).toMatchObject({ demand: 'run', attention: [] });
  });

  it('a won one resumes', () => {
    const held = follow(on(subscriptionView(lost), 3, 9, 16)).at(-1)!.agent;
    expect(now(17, subscriptionView({ closedDisputes: 1 }), held).demand).toBe('run');
  });
});

describe('a subscription that ends while its agent is suspended', () => {
  const ended = {
    status: 'canceled',
    canceledAt: day(16),
    endedAt: day(16),
    cancelReason: 'requested',
  } as const;

  it('announces the deletion, and no suspension', () => {
    const looks = follow([...on(pastDueView([0]), 0, 7, 14), ...on(pastDueView([0], ended), 16, 17, 18, 19)]);
    expect(tell(looks.slice(3))).toEqual([
      'day 16: suspend +will_delete',
      'day 17: suspend',
      'day 18: suspend +will_delete',
      'day 19: destroy',
    ]);
    expect(looks[3]!.decision.suspendAt).toEqual(day(16));
  });

  it('nor does one that will end', () => {
    const planned = pastDueView([0], { cancelAt: day(20) });
    const looks = follow([...on(pastDueView([0]), 0, 7, 14), ...on(planned, 15, 20)]);
    expect(tell(looks.slice(3))).toEqual(['day 15: suspend', 'day 20: suspend']);
  });

  it('announces the suspension once it runs again', () => {
    const planned = subscriptionView({ cancelAt: day(20), canceledAt: day(15) });
    const owed = pastDueView([0], { cancelAt: day(20), canceledAt: day(15) });
    const looks = follow([...on(pastDueView([0]), 0, 7, 14), ...on(owed, 15), ...on(planned, 16)]);
    expect(tell(looks.slice(3))).toEqual(['day 15: suspend', 'day 16: run +will_suspend']);
  });
});

describe('what says nothing certain harms nobody', () => {
  it.each([
    ['running', agentView(), 'run'],
    ['suspended', agentView({ suspendedAt: day(1), status: 'suspended' }), 'suspend'],
    ['hibernated', agentView({ suspendedAt: day(1), status: 'hibernated' }), 'hibernate'],
  ] as const)(
    'leaves a %s agent as it is where Stripe does not know the subscription',
    (_, agent, demand) => {
      expect(now(500, 'unknown', agent)).toMatchObject({
        state: 'unknown',
        demand,
        announce: [],
        deleteAt: null,
      });
      expect(now(500, 'unknown', agent).attention).toHaveLength(1);
      const unrecognized = pastDueView([0], { status: 'unrecognized' });
      expect(now(500, unrecognized, agent)).toMatchObject({ state: 'unknown', demand, announce: [] });
    },
  );

  it.each(['past_due', 'unpaid'] as const)(
    'lets an agent run that is %s without owing anything',
    (status) => {
      const { demand, attention } = now(90, subscriptionView({ status }));
      expect(demand).toBe('run');
      expect(attention).toMatchObject([{ class: 'mismatch' }]);
    },
  );

  it('waits for a payment that may be under way before it calls it failed', () => {
    const open = subscriptionView({ invoices: [invoiceView(0, { status: 'open' }), invoiceView(-30)] });
    expect(tell(follow(on(open, 0, 6.9, 7, 14)))).toEqual([
      'day 0: run',
      'day 6.9: run',
      'day 7: run +will_suspend',
      'day 14: suspend',
    ]);
    expect(now(0, open)).toMatchObject({ state: 'paid', unpaidSince: null, nextAt: day(7) });
  });

  it('demands nothing before the due date', () => {
    const sent = subscriptionView({ invoices: [invoiceView(14, { status: 'open', createdAt: day(0) })] });
    expect(now(10, sent)).toMatchObject({ state: 'paid', nextAt: day(14) });
  });

  it('counts an invoice that was written off only until a later one is paid', () => {
    const off = invoiceView(0, { status: 'uncollectible' });
    const failing = invoiceView(60, { status: 'open' });
    const old = { status: 'past_due', invoices: [failing, invoiceView(30), off] } as const;
    expect(now(61, subscriptionView({ ...old, invoices: [...old.invoices] })).unpaidSince).toEqual(day(60));
    const latest = { status: 'past_due', invoices: [off, invoiceView(-30)] } as const;
    expect(now(5, subscriptionView({ ...latest, invoices: [...latest.invoices] })).unpaidSince).toEqual(
      day(0),
    );
    expect(now(5, subscriptionView({ invoices: [off] })).demand).toBe('run');
    // Found among a million histories: both were issued in the same second.
    const twins = [off, invoiceView(0, { invoiceId: 'in_twin' })];
    expect(now(20, subscriptionView({ status: 'past_due', invoices: twins })).unpaidSince).toBeNull();
  });

  it('does not count what became uncollectible because collection was paused', () => {
    const offered = invoiceView(0, { status: 'uncollectible', attempted: false });
    const failing = subscriptionView({
      status: 'past_due',
      invoices: [invoiceView(60, { status: 'open' }), offered],
    });
    expect(now(61, failing)).toMatchObject({ unpaidSince: day(60), suspendAt: day(74) });
  });

  it('lets no stored date outlive the invoice that it came from', () => {
    const agent = agentView({ unpaidSince: day(0) });
    const long = pastDueView([10], {
      invoices: [
        invoiceView(10, { status: 'open' }),
        ...Array.from({ length: 23 }, (_, month) => invoiceView(-20 - 30 * month)),
      ],
    });
    expect(now(12, long, agent).unpaidSince).toEqual(day(10));
  });

  it('does not delete a protected agent, and says so', () => {
    const agent = { ...suspended(), protected: true };
    expect(now(60, pastDueView([0]), agent)).toMatchObject({
      demand: 'hibernate',
      deleteAt: null,
      announce: [],
    });
    expect(now(60, pastDueView([0]), agent).attention).toMatchObject([
      { cause: expect.stringMatching(/protected/) },
    ]);
  });

  it('serves the period that was paid for after Stripe had cancelled', () => {
    const canceled = { status: 'canceled', cancelReason: 'payment_failed', endedAt: day(15) } as const;
    const unpaid = pastDueView([0], { ...canceled, canceledAt: day(15) });
    expect(now(15, unpaid, suspended())).toMatchObject({ demand: 'suspend', deleteAt: day(44) });
    const paid = subscriptionView({ ...canceled, canceledAt: day(15) });
    expect(now(20, paid, suspended())).toMatchObject({ demand: 'run', state: 'ending', cancelAt: day(30) });
  });

  it.each([
    ['voided', { status: 'void' }],
    ['credited in full', { status: 'paid', credited: true }],
    ['credited in full and left open', { status: 'open', amountRemaining: 0 }],
  ] as const)('serves no period after Stripe had cancelled whose invoice was %s', (_, changes) => {
    const canceled = { status: 'canceled', cancelReason: 'payment_failed', endedAt: day(15) } as const;
    const invoices = [invoiceView(0, changes), invoiceView(-30)];
    const waived = subscriptionView({ ...canceled, canceledAt: day(15), invoices });
    const looks = follow([...on(pastDueView([0]), 0, 7, 14), ...on(waived, 20, 38, 41, 43, 44, 45)]);
    // Nobody has paid, so it stays off; and it keeps the time to the deletion that it had.
    expect(tell(looks.slice(3))).toEqual([
      'day 20: suspend',
      'day 38: suspend +will_delete',
      'day 41: hibernate',
      'day 43: hibernate +will_delete',
      'day 44: hibernate +will_delete',
      'day 45: destroy',
    ]);
    expect(looks[3]!.decision).toMatchObject({ state: 'ended', cancelAt: day(15), deleteAt: day(45) });
    expect(looks[3]!.decision.attention).toEqual([]);
  });

  it.each([
    [
      'voided, and a replacement was paid',
      [invoiceView(16, { billingReason: 'manual' }), invoiceView(0, { status: 'void' })],
    ],
    [
      'given up, and a replacement was paid',
      [invoiceView(16, { billingReason: 'manual' }), invoiceView(0, { status: 'uncollectible' })],
    ],
    ['paid out of band', [invoiceView(0, { status: 'uncollectible', paid: true })]],
    [
      'paid, and an upgrade was not',
      [invoiceView(5, { status: 'void', billingReason: 'subscription_update' }), invoiceView(0)],
    ],
    ['one that cannot be read', [invoiceView(0, { status: 'unrecognized' })]],
    ['not listed', []],
  ] as const)('serves the period after Stripe had cancelled whose invoice is %s', (_, invoices) => {
    const canceled = { status: 'canceled', cancelReason: 'payment_failed', endedAt: day(15) } as const;
    const subscription = subscriptionView({ ...canceled, canceledAt: day(15), invoices: [...invoices] });
    expect(now(20, subscription, suspended())).toMatchObject({ demand: 'run', cancelAt: day(30) });
  });

  it('treats the end of a trial without a card as unpaid', () => {
    const paused = subscriptionView({ status: 'paused', trialEnd: day(0), invoices: [] });
    expect(tell(follow(on(paused, 0, 7, 14)))).toEqual([
      'day 0: run +payment_failed',
      'day 7: run +will_suspend',
      'day 14: suspend',
    ]);
  });
});

describe('a subscription that bills for several agents', () => {
  const ofPrice = { price_starter: 'starter', price_yearly: 'starter', price_pro: 'pro' } as const;
  const policy = createPolicy(undefined, { ofPrice });
  const item = (priceId: string, quantity: number) => ({
    priceId,
    lookupKey: null,
    productId: 'prod_1',
    quantity,
  });
  const told = (items: Subscription['items'], used = policy, changes: Partial<Subscription> = {}) =>
    decide(subscriptionView({ items, ...changes }), agentView(), used, day(5))
      .attention.filter(({ class: kind }) => kind === 'mismatch')
      .map(({ cause }) => cause);
  const billedFor = (count: number) => [`The subscription bills for ${count} agents, and one belongs to it`];

  it('needs a person, and the agent runs', () => {
    expect(told([item('price_starter', 3)])).toEqual(billedFor(3));
    expect(told([item('price_starter', 1), item('price_yearly', 1)])).toEqual(billedFor(2));
    expect(told([item('price_starter', 3)], testPolicy)).toEqual(billedFor(3));
    expect(now(5, subscriptionView({ items: [item('price_starter', 3)] })).demand).toBe('run');
  });

  it('does not where something else is billed beside the agent, or nothing any more', () => {
    expect(told([item('price_starter', 1), item('price_storage', 5)])).toEqual([]);
    expect(told([item('price_starter', 1), item('price_storage', 1)], testPolicy)).toEqual([]);
    expect(told([item('price_starter', 1), item('price_pro', 1)])).toEqual([]);
    const ended = { status: 'canceled', endedAt: day(1), cancelReason: 'requested' } as const;
    expect(told([item('price_starter', 3)], policy, ended)).toEqual([]);
  });
});

describe('plans', () => {
  const policy = createPolicy(undefined, { ofPrice: { price_starter: 'starter', pro_monthly: 'pro' } });
  const planOf = (changes: Partial<Subscription>, plan = 'starter') =>
    decide(subscriptionView(changes), agentView({ plan }), policy, day(5)).plan;
  const pro = [{ priceId: 'price_pro', lookupKey: 'pro_monthly', productId: 'prod_1', quantity: 1 }];
  const upgrade = (status: 'open' | 'paid') => [
    invoiceView(4, { status, billingReason: 'subscription_update', priceIds: ['price_pro'] }),
    invoiceView(0),
  ];

  it('10: upgrades only after the invoice for it is paid', () => {
    expect(planOf({ items: pro })).toBe('keep');
    expect(planOf({ items: pro, invoices: upgrade('open') })).toBe('keep');
    expect(planOf({ items: pro, invoices: upgrade('open'), status: 'past_due' })).toBe('keep');
    expect(planOf({ items: pro, invoices: upgrade('paid') })).toEqual({ resizeTo: 'pro' });
    expect(planOf({ items: pro, invoices: upgrade('paid') }, 'pro')).toBe('keep');
  });

  it('downgrades with the next period', () => {
    const credited = invoiceView(4, { billingReason: 'subscription_update', priceIds: ['price_starter'] });
    const bought = invoiceView(0, { priceIds: ['price_pro'] });
    expect(planOf({ invoices: [credited, bought] }, 'pro')).toBe('keep');
    expect(planOf({ invoices: [invoiceView(4), credited, bought] }, 'pro')).toEqual({ resizeTo: 'starter' });
  });

  it.each([
    ['the price’s id', { price_starter: 'starter', price_pro: 'pro' }],
    ['its lookup key', { price_starter: 'starter', pro_monthly: 'pro' }],
  ] as const)(
    'downgrades after an upgrade of the same period when that is over, known by %s',
    (_, ofPrice) => {
      const known = createPolicy(undefined, { ofPrice });
      const invoices = [...upgrade('paid')];
      const plan = (days: number, bills: typeof invoices) =>
        decide(subscriptionView({ invoices: bills }), agentView({ plan: 'pro' }), known, day(days)).plan;
      expect(plan(10, invoices)).toBe('keep');
      const credit = invoiceView(10, { billingReason: 'subscription_update', priceIds: ['price_starter'] });
      expect(plan(10, [credit, ...invoices])).toBe('keep');
      expect(plan(30, [invoiceView(30, { status: 'open' }), credit, ...invoices])).toBe('keep');
      expect(plan(30, [invoiceView(30), credit, ...invoices])).toEqual({ resizeTo: 'starter' });
    },
  );

  it('downgrades at once where the upgrade was never paid', () => {
    const plan = decide(
      subscriptionView({
        invoices: [invoiceView(4, { status: 'void', priceIds: ['price_pro'] }), invoiceView(0)],
      }),
      agentView({ plan: 'pro' }),
      policy,
      day(10),
    ).plan;
    expect(plan).toEqual({ resizeTo: 'starter' });
  });

  it('does not let what is billed beside the plan keep a downgrade back', () => {
    const storage = { priceId: 'price_storage', lookupKey: null, productId: 'prod_2', quantity: 1 };
    const beside = invoiceView(31, { billingReason: 'manual', priceIds: ['price_storage'] });
    const both = subscriptionView({
      items: [...subscriptionView().items, storage],
      invoices: [beside, invoiceView(30), invoiceView(0, { priceIds: ['price_pro'] })],
    });
    expect(decide(both, agentView({ plan: 'pro' }), policy, day(32)).plan).toEqual({ resizeTo: 'starter' });
  });

  it('keeps the plan where the prices do not say one, and asks for a person', () => {
    const unknown = [{ priceId: 'price_new', lookupKey: null, productId: 'prod_1', quantity: 1 }];
    const decision = decide(subscriptionView({ items: unknown }), agentView(), policy, day(5));
    expect(decision).toMatchObject({ plan: 'keep', attention: [{ class: 'configuration' }] });
    const both = [...unknown, ...pro, ...subscriptionView().items];
    expect(decide(subscriptionView({ items: both }), agentView(), policy, day(5)).attention).toHaveLength(1);
    expect(now(5, subscriptionView({ items: unknown })).attention).toEqual([]);
  });
});
