import { REASONS_OF_PEOPLE } from '../../agents/holds.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { type Html, html } from '../html.ts';
import { day } from './words.ts';

/**
 * Renders what a buyer has to know about their payments, with the days; undefined while nothing is to be
 * said. `payUrl`: where they pay.
 */
export function billingBanner(agent: AgentJson, payUrl: string | undefined): Html | undefined {
  if (agent.status === 'destroying' || agent.status === 'destroyed') return undefined;
  const { title, text, pays } = bannerFor(agent) ?? {};
  if (title === undefined || text === undefined) return undefined;
  return html`<section class="problem" aria-labelledby="billing-title"><h2 id="billing-title">${title}</h2>
<p>${text}</p>
${pays === true && payUrl !== undefined && html`<p><a class="button primary" href="${payUrl}" rel="noreferrer">Pay now</a></p>`}</section>`;
}

/** Whether the page offers to pay: only then it is looked up where. */
export function isPaymentMissing(agent: AgentJson): boolean {
  return agent.status !== 'destroying' && agent.status !== 'destroyed' && bannerFor(agent)?.pays === true;
}

interface Banner {
  title: string;
  text: string;
  /** Whether a payment mends it. */
  pays: boolean;
}

function bannerFor(agent: AgentJson): Banner | undefined {
  const { billing, holds } = agent;
  if (holds.some(({ reason }) => REASONS_OF_PEOPLE.some((one) => one === reason)))
    return {
      title: 'Switched off by us',
      text: 'Please get in touch, so that it can run again.',
      pays: false,
    };
  const deleted = billing?.deleteAt == null ? '' : ` It will be deleted on ${day(billing.deleteAt)}.`;
  if (billing?.state === 'ended')
    return {
      title: 'Your subscription has ended',
      text: `Your agent is switched off.${deleted}`,
      pays: false,
    };
  if (waitsForPayment(agent) || billing?.state === 'suspended') {
    const text = `Your agent is switched off, and everything on it is kept.${deleted} It runs again once the payment has arrived.`;
    return { title: 'A payment is missing', text, pays: true };
  }
  return billing === null ? undefined : bannerWhileItRuns(billing, deleted);
}

function bannerWhileItRuns(billing: NonNullable<AgentJson['billing']>, deleted: string): Banner | undefined {
  switch (billing.state) {
    case 'past_due': {
      const { suspendAt } = billing;
      const until = suspendAt === null ? 'for now' : `until ${day(suspendAt)}, and is switched off then`;
      const text = `Your agent runs on ${until}. Please pay what is open.`;
      return { title: 'A payment has failed', text, pays: true };
    }
    case 'incomplete': {
      const text = 'Please complete it, so that your agent can stay.';
      return { title: 'Your first payment is open', text, pays: true };
    }
    case 'ending': {
      const end = billing.cancelAt === null ? 'soon' : `on ${day(billing.cancelAt)}`;
      const text = `It ends ${end}. Your agent is switched off then.${deleted}`;
      return { title: 'Your subscription ends', text, pays: false };
    }
    default:
      return undefined;
  }
}

/** Whether nothing but a payment is missing. */
function waitsForPayment({ status, holds }: AgentJson): boolean {
  const isOff = status === 'suspended' || status === 'hibernated';
  return isOff && holds.length > 0 && holds.every(({ reason }) => reason === 'payment');
}
