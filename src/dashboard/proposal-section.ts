import type { ProposalRow } from '../operations/proposals.ts';
import { findRequestable } from '../operations/registry.ts';
import { when } from './design/when.ts';
import { type Html, html } from './html.ts';
import { capitalized } from './words.ts';

/** Renders what a program proposes, with what it would do and the buttons for those who may decide. */
export function proposalSection(proposal: ProposalRow, mayDecide: boolean): Html {
  const { proposal_id: id, agent_id: agentId, kind, reason, proposed_by: by } = proposal;
  const explained = findRequestable(kind)?.confirm?.explain(agentId) ?? findRequestable(kind)?.cli;
  const verb = capitalized(kind);
  const { agent_status: before, status_now: now } = proposal;
  return html`<section class="problem" aria-labelledby="proposal-${id}">
<h2 id="proposal-${id}">Proposed: ${kind} agent <a href="/agents/${agentId}">${agentId}</a></h2>
<p>${reason} <span class="muted">${by}, ${when(proposal.proposed_at.toISOString())}</span></p>
<p>${capitalized(explained ?? '')}</p>
${before !== now && html`<p><strong>The agent was ${before} when this was proposed, and is ${now} now.</strong> It can only be rejected.</p>`}
<div class="actions">
${mayDecide && before === now && html`<form method="post" action="/attention/proposals/${id}/approve"><button class="danger">Approve: ${kind}<span class="visually-hidden"> ${agentId}</span></button></form>`}
${mayDecide && html`<form method="post" action="/attention/proposals/${id}/reject"><button>Reject<span class="visually-hidden"> the ${verb} of ${agentId}</span></button></form>`}
<span class="muted">Undecided, it expires ${when(proposal.expires_at.toISOString())}</span>
</div></section>`;
}
