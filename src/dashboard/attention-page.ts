import type { AttentionClass } from '../database/vocabulary.ts';
import type { BreakerState, HeldChange } from '../limits/listing.ts';
import type { ProposalRow } from '../operations/proposals.ts';
import type { AttentionItem } from '../reconcile/attention.ts';
import { emptyState } from './design/banner.ts';
import { when } from './design/when.ts';
import { type Html, html } from './html.ts';
import { proposalSection } from './proposal-section.ts';

export interface AttentionPage {
  items: readonly AttentionItem[];
  nextCursor: string | null;
  /** Tripped breakers, each with the first of what waits. */
  tripped: readonly { breaker: BreakerState; held: readonly HeldChange[] }[];
  /** What programs propose and a person has to decide. */
  proposals: readonly ProposalRow[];
  /** Whether the reader may approve and reject. */
  mayDecide: boolean;
}

const WORDS: Record<AttentionClass, string> = {
  order: 'Order',
  failed: 'Failed',
  unhealthy: 'Unhealthy',
  breaker: 'Breaker',
  mismatch: 'Mismatch',
  configuration: 'Configuration',
  proposal: 'Proposal',
};

/** Renders `/attention`: tripped breakers and proposals with their buttons, then all that needs a person. */
export function attentionPage(page: AttentionPage): Html {
  const { items, nextCursor, tripped, proposals, mayDecide } = page;
  return html`<h1>Attention</h1>
<div id="breakers" data-live>${tripped.map(({ breaker, held }) => breakerSection(breaker, held, mayDecide))}</div>
<div id="proposals" data-live>${proposals.map((proposal) => proposalSection(proposal, mayDecide))}</div>
<div id="attention" data-live>${items.length === 0 ? emptyState('Nothing needs you.', 'What does is listed here, each with its cause and what to do about it.') : itemTable(items)}</div>
${nextCursor !== null && html`<p><a href="/attention?cursor=${nextCursor}">Older</a></p>`}`;
}

/** Renders the banner of a tripped breaker, which leads to the page with its button. */
export function breakerBanner({ name, title, cause, waiting, approved }: BreakerState): Html {
  const left = waiting - approved;
  return html`<section class="problem" aria-labelledby="breaker-${name}-title">
<h2 id="breaker-${name}-title">Held back: ${title.toLowerCase()}</h2>
<p>${cause} ${left > 0 ? `${changes(left)} for you.` : `What you approved goes at the allowed rate.`}
<a href="/attention">Look at what waits, then press Approve there</a></p></section>`;
}

const changes = (count: number) => (count === 1 ? '1 change waits' : `${count} changes wait`);

function breakerSection(breaker: BreakerState, held: readonly HeldChange[], mayDecide: boolean): Html {
  const { name, title, cause, cure, waiting, approved, trippedAt } = breaker;
  return html`<section class="problem" aria-labelledby="breaker-${name}-title">
<h2 id="breaker-${name}-title">Held back: ${title.toLowerCase()}</h2>
<p>${cause}${trippedAt !== null && html` <span class="muted">since ${when(trippedAt.toISOString())}</span>`}</p>
<p>${changes(waiting)}${approved > 0 && `; ${approved} of them are approved and go at the allowed rate`}. ${cure}</p>
${mayDecide ? approvalForm(breaker) : NOT_YOURS}
${held.length > 0 && heldTable(held, waiting)}</section>`;
}

/** Instead of buttons that the role does not allow. */
export const NOT_YOURS = html`<p class="muted">An operator decides.</p>`;

function approvalForm({ name, title }: BreakerState): Html {
  return html`<form class="actions" method="post" action="/attention/breakers/${name}/approve">
<label>How many, oldest first (empty: all) <input id="count-${name}" name="count" inputmode="numeric" pattern="[0-9]*"></label>
<button id="approve-${name}">Approve<span class="visually-hidden"> ${title.toLowerCase()}</span></button>
</form>`;
}

function heldTable(held: readonly HeldChange[], waiting: number): Html {
  return html`<table>
<caption>${held.length < waiting ? `The first ${held.length} of what waits` : 'What waits'}</caption>
<thead><tr><th scope="col">Agent</th><th scope="col">Change</th><th scope="col">Why</th><th scope="col">Approved</th></tr></thead>
<tbody>${held.map(
    (change) => html`<tr><th scope="row"><a href="/agents/${change.agent_id}">${change.agent_id}</a></th>
<td data-label="Change">${change.kind}</td><td data-label="Why">${change.cause}</td>
<td data-label="Approved">${change.approved_at === null ? 'no' : 'yes'}</td></tr>`,
  )}</tbody></table>`;
}

function itemTable(items: readonly AttentionItem[]): Html {
  return html`<table>
<caption class="visually-hidden">What needs you, newest first</caption>
<thead><tr><th scope="col">What</th><th scope="col">Cause</th><th scope="col">What to do</th><th scope="col">Since</th></tr></thead>
<tbody>${items.map(itemRow)}</tbody></table>`;
}

function itemRow({ class: name, agentId, cause, cure, since }: AttentionItem): Html {
  return html`<tr><th scope="row">${WORDS[name]}${
    agentId !== null && html` <a class="below" href="/agents/${agentId}">${agentId}</a>`
  }</th>
<td data-label="Cause">${cause}</td><td data-label="What to do">${cure}</td>
<td data-label="Since">${when(since.toISOString())}</td></tr>`;
}
