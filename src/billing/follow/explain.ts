import type { AgentState } from './agent-state.ts';
import { isBilled } from './choose.ts';
import type { FollowDeps } from './deps.ts';
import type { NewFinding } from './findings.ts';
import type { JudgedAgent } from './judge.ts';

/** What a person should know about an agent's subscriptions. */
export function explainFindings(
  judged: JudgedAgent,
  { agent, failedResize }: Pick<AgentState, 'agent' | 'failedResize'>,
): NewFinding[] {
  const { agentId, all, governing, isFromBefore } = judged;
  const attention = all.flatMap(({ subscriptionId, decision }) =>
    // What another subscription lacks does not matter while a milder one counts.
    subscriptionId === governing.subscriptionId || agent.status === 'destroyed'
      ? decision.attention.map(({ class: kind, cause, cure }) => ({
          class: kind,
          key: `${agentId} ${subscriptionId} ${cause}`,
          agentId,
          subscriptionId,
          cause: `${cause} (subscription ${subscriptionId})`,
          cure,
        }))
      : [],
  );
  return [
    ...attention,
    ...explainSeveral(judged),
    ...explainResize(judged, failedResize),
    ...(isFromBefore ? explainPast(judged) : []),
  ];
}

/** What is announced harms the agent of a buyer whose address is not known: nobody is told. */
export function explainUntold(
  { agentId, governing, effective: { decision }, isFromBefore }: JudgedAgent,
  { agent, buyerEmail }: Pick<AgentState, 'agent' | 'buyerEmail'>,
  { mailsBuyers, billing }: Pick<FollowDeps, 'mailsBuyers' | 'billing'>,
): NewFinding[] {
  const isGone = agent.status === 'destroying' || agent.status === 'destroyed';
  if (mailsBuyers !== true || billing !== 'act' || buyerEmail !== undefined || isGone || isFromBefore)
    return [];
  const { demand, announce, unpaidSince, suspendAt, hibernateAt, deleteAt } = decision;
  const dates = [suspendAt, hibernateAt, deleteAt].filter((date) => date !== null);
  // A cancellation that is planned has a date too, perhaps a year ahead.
  const isComing = unpaidSince !== null && dates.length > 0;
  if (demand === 'run' && announce.length === 0 && !isComing) return [];
  const why = unpaidSince === null ? 'because its subscription ends' : 'for want of payment';
  const { subscription, subscriptionId } = governing;
  const customer = subscription === 'unknown' ? '' : ` (customer ${subscription.customerId})`;
  return [
    {
      class: 'mismatch',
      key: `${agentId} untold`,
      agentId,
      subscriptionId,
      cause: `Agent ${agentId} is to be suspended or deleted ${why}, and no mail tells its buyer: no order of it has a mail address`,
      cure: `Tell the buyer yourself, before the days that the agent’s page names: Stripe shows the address with the subscription${customer}`,
    },
  ];
}

/** The customer pays for a plan that the agent does not have. */
function explainResize(
  { agentId, effective: { decision, subscriptionId } }: JudgedAgent,
  failed: AgentState['failedResize'],
): NewFinding[] {
  if (failed === undefined || decision.plan === 'keep' || decision.plan.resizeTo !== failed.plan) return [];
  const times = failed.failures === 1 ? 'once' : `${failed.failures} times`;
  return [
    {
      class: 'failed',
      key: `${agentId} resize ${failed.plan}`,
      agentId,
      subscriptionId,
      cause: `The price of subscription ${subscriptionId} has the plan ${failed.plan}, and the resize to it has failed ${times}: ${failed.error}`,
      cure: 'It is tried again by itself, after ten minutes and then ever less often, at least once a day. Read the log of the last one (npm run agents -- logs), mend the cause and press Retry',
    },
  ];
}

function explainSeveral({ agentId, all, governing }: JudgedAgent): NewFinding[] {
  const billed = all.filter(({ decision }) => isBilled(decision)).map((one) => one.subscriptionId);
  if (billed.length < 2) return [];
  return [
    {
      class: 'mismatch',
      key: `${agentId} several`,
      agentId,
      subscriptionId: governing.subscriptionId,
      cause: `Two or more subscriptions are billed for agent ${agentId}: ${billed.sort().join(', ')}`,
      cure: 'Cancel all but one at Stripe and refund what was paid twice. The agent runs while one of them is paid',
    },
  ];
}

/** The demand stays without consequences, so only a person can decide. */
function explainPast({ agentId, governing }: JudgedAgent): NewFinding[] {
  const { decision, subscriptionId } = governing;
  if (decision.demand === 'run' && decision.announce.length === 0) return [];
  const since = decision.unpaidSince?.toISOString();
  const what = since === undefined ? 'ended' : `has been unpaid since ${since}, which is`;
  return [
    {
      class: 'mismatch',
      key: `${agentId} from before`,
      agentId,
      subscriptionId,
      cause: `Subscription ${subscriptionId} ${what} before this service began to follow payments; its agent is left alone`,
      cure: 'Destroy the agent by hand, settle the subscription at Stripe, or start with BILLING_ACT_ON_PAST=yes',
    },
  ];
}
