import { REASONS_OF_PEOPLE } from '../agents/holds.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import { when } from './design/when.ts';
import { type Html, html } from './html.ts';
import { agentCrumb, agentState } from './parts.ts';
import { capitalized } from './words.ts';

type HoldJson = AgentJson['holds'][number];

const WORDS: Record<HoldJson['reason'], string> = {
  payment: 'a payment is missing',
  dispute: 'a payment is disputed',
  abuse: 'it is being abused',
  operator: 'an operator wants it',
};

/** The statuses in which an agent can neither be held nor be protected any more. */
const OVER: readonly AgentJson['status'][] = ['destroying', 'destroyed'];

/**
 * Renders why an agent is held and since when, with a button for each hold that a person may release.
 * @param followsPayments whether the service itself releases those that payments demand
 * @param mayRelease whether the reader's role allows it
 */
export function holdBanner(
  agent: AgentJson,
  { followsPayments, mayRelease }: { followsPayments: boolean; mayRelease: boolean },
): Html | undefined {
  const { agentId, holds } = agent;
  if (holds.length === 0) return undefined;
  const isOnlyDisputed = holds.every(({ reason }) => reason === 'dispute');
  return html`<section class="problem holds" aria-labelledby="holds-title">
<h2 id="holds-title">${isOnlyDisputed ? 'Not to be deleted' : bannerTitle(agent)}</h2>
<ul>${holds.map((hold) => html`<li>${describeHold(hold)} ${mayRelease && (!followsPayments || isPersons(hold.reason)) && releaseButton(agentId, hold)}</li>`)}</ul>
</section>`;
}

function bannerTitle({ status }: AgentJson): string {
  if (status === 'suspended') return 'Suspended';
  if (status === 'hibernated') return 'Hibernated';
  return 'Held: it will be suspended';
}

function describeHold({ reason, since, by, note }: HoldJson): Html {
  return html`<strong>${reason}</strong>: ${WORDS[reason]}, since ${when(since)}, placed by ${by}${
    note !== null && html`. ${note}`
  }`;
}

/** The service itself releases the other holds once their cause is gone. */
function isPersons(reason: HoldJson['reason']): boolean {
  return REASONS_OF_PEOPLE.some((one) => one === reason);
}

function releaseButton(agentId: string, { reason }: HoldJson): Html {
  return html`<form method="post" action="/agents/${agentId}/release"><input type="hidden" name="reason" value="${reason}">
<button id="release-${reason}">Release<span class="visually-hidden"> the hold ${reason} of ${agentId}</span></button></form>`;
}

/** Why an agent can neither be held nor be protected any more; undefined if it can. */
export function whyNotHeld({ status }: AgentJson): string | undefined {
  return OVER.includes(status) ? `It is ${status}.` : undefined;
}

/** Renders `/agents/{agentId}/hold`: says what a hold does, with a form for its reason. */
export function holdPage(agent: AgentJson): Html {
  const { agentId } = agent;
  return html`${agentCrumb(agentId)}<h1>Hold ${agentId}?</h1>
<p>${agentState(agent)}</p>
<p>Its server is switched off, with everything kept, until this hold is released. A payment does not release it.</p>
<form class="fields" method="post" action="/agents/${agentId}/hold">
<label>Reason <select name="reason">${[...REASONS_OF_PEOPLE].reverse().map((reason) => html`<option value="${reason}">${capitalized(reason)}: ${WORDS[reason]}</option>`)}</select></label>
<label>Note <input name="note" maxlength="1000" placeholder="For whoever reads this next"></label>
<div class="actions"><button class="primary">Hold ${agentId}</button>
<a class="button" href="/agents/${agentId}">Cancel</a></div>
</form>`;
}
