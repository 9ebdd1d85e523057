import { expect, test } from 'vitest';
import { decide } from '../../../src/billing/decide.ts';
import { type ActView, describeAct, planActs } from '../../../src/billing/follow/plan-acts.ts';
import { agentView, day, subscriptionView, testPolicy } from '../../support/subscription-views.ts';

/** A subscription that its owner ended, as long ago as that its suspension is due and announced. */
function planAfterEnd(status: ActView['status'], holds: ActView['holds']) {
  const ended = subscriptionView({
    status: 'canceled',
    canceledAt: day(0),
    endedAt: day(0),
    cancelReason: 'requested',
  });
  const key = `sub_1:end:${day(0).toISOString()}:will_suspend`;
  const agent = agentView({
    status,
    suspendedAt: holds.includes('payment') ? day(1) : null,
    announcements: [{ type: 'agent.will_suspend', key, at: day(0) }],
  });
  const decision = decide(ended, agent, testPolicy, day(1));
  return planActs(decision, { status, plan: 'starter', holds, isBusy: false, paused: [] }, day(1))
    .map(describeAct)
    .map((act) => act.split(' (')[0]);
}

test('a deletion is announced once, after the suspension, whose time it counts from', () => {
  expect(planAfterEnd('running', [])).toEqual(['place the payment hold']);
  expect(planAfterEnd('running', ['payment'])).toEqual([]);
  expect(planAfterEnd('suspended', ['payment'])).toEqual(['announce agent.will_delete']);
});
