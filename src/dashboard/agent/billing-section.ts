import type { BillingState } from '../../billing/decision.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { badge, type Tone } from '../design/badge.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { capitalized } from '../words.ts';

type BillingJson = NonNullable<AgentJson['billing']>;

const TONES: Partial<Record<BillingState, Tone>> = {
  paid: 'good',
  trial: 'good',
  past_due: 'bad',
  suspended: 'bad',
  ended: 'bad',
};

/** What the dates announce, in the order in which they come. */
const DATES: readonly (readonly [key: keyof BillingJson, text: string])[] = [
  ['unpaidSince', 'Unpaid since'],
  ['suspendAt', 'Will be suspended'],
  ['hibernateAt', 'Will be hibernated'],
  ['cancelAt', 'Subscription ends'],
  ['deleteAt', 'Will be deleted'],
];

/** Renders how the agent's subscription stands, with every date that follows from it. */
export function billingSection({ billing, subscriptionId }: AgentJson): Html {
  if (billing === null)
    return html`<h2>Billing</h2>
<p class="muted">${
      subscriptionId === null
        ? 'No subscription pays for it: it was made by hand, so no payment switches it off or deletes it.'
        : 'Its subscription has not been read at Stripe yet. That happens by itself.'
    }</p>`;
  const dates = DATES.flatMap(([key, text]) => {
    const value = billing[key];
    return typeof value === 'string' ? [html`<div><dt>${text}</dt><dd>${when(value)}</dd></div>`] : [];
  });
  return html`<h2>Billing ${badge(billing.state, TONES[billing.state] ?? 'plain', capitalized(billing.state.replace('_', ' ')))}</h2>
${dates.length === 0 ? html`<p class="muted">Nothing is owed, and no date is set.</p>` : html`<dl>${dates}</dl>`}`;
}
