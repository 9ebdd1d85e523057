import type { Role } from '../../database/vocabulary.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import { whyNeverCancelled } from '../../operations/cancel.ts';
import { hasRole } from '../../people/roles.ts';
import { badge } from '../design/badge.ts';
import { type Html, html } from '../html.ts';
import { agentCrumb } from '../parts.ts';

const isUnfinished = ({ status }: OperationJson) => status === 'queued' || status === 'active';

/**
 * Renders the link to the confirmation; nothing for an operation that is over or cannot be cancelled, nor for
 * a role that may not.
 */
export function cancelButton(operation: OperationJson, role: Role): Html | undefined {
  if (!hasRole(role, 'operator')) return undefined;
  const { operationId, kind } = operation;
  if (!isUnfinished(operation) || whyNeverCancelled(kind) !== undefined) return undefined;
  return html`<a class="button danger" href="/operations/${operationId}/cancel">Cancel the ${kind}</a>`;
}

/** Renders `/operations/{operationId}/cancel`: says what will happen, with the button that does it. */
export function cancelPage(operation: OperationJson): Html {
  const { operationId, agentId, kind, status } = operation;
  const refusal = isUnfinished(operation) ? whyNeverCancelled(kind) : `It is already ${status}.`;
  const back = html`<a class="button" href="/operations/${operationId}">Back to it</a>`;
  return html`${agentCrumb(agentId)}<h1>Cancel the ${kind} of ${agentId}?</h1>
<p>${badge(status)}</p>
${
  refusal === undefined
    ? html`<p>${effectOf(kind)}</p>
<form class="actions" method="post" action="/operations/${operationId}/cancel"><button class="danger">Cancel the ${kind}</button>${back}</form>`
    : html`<p class="problem">${refusal}</p><p>${back}</p>`
}`;
}

function effectOf(kind: OperationJson['kind']): string {
  if (kind === 'provision')
    return 'What it has made is deleted, and the agent has failed: retry it later, or destroy it and refund the payment.';
  return 'It ends where it is. The agent’s page says what state that leaves; the next operation goes on from there.';
}
