import type { Role } from '../database/vocabulary.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { whyNotNow } from '../operations/refusals.ts';
import { leastRoleFor, type Requestable, requestableOperations } from '../operations/registry.ts';
import { hasRole } from '../people/roles.ts';
import { badge } from './design/badge.ts';
import { type Html, html } from './html.ts';
import { capitalized, stepWords } from './words.ts';

/** Renders the way back to an agent, above the title of a page that concerns it. */
export function agentCrumb(agentId: string): Html {
  return html`<p class="crumbs"><a href="/agents/${agentId}">${agentId}</a> ›</p>
`;
}

/** Renders the way back to the dashboard, above the title of a page that is not part of it. */
export function homeCrumb(): Html {
  return html`<p class="crumbs"><a href="/">Agent stacks</a> ›</p>
`;
}

/** Renders the agent's state, with the step of its provision, its holds and its protection. */
export function agentState(agent: AgentJson): Html {
  const underWay = agent.status === 'provisioning' && agent.step !== null;
  return html`${badge(agent.status)}${underWay && html` <span class="muted">${stepWords(agent.step ?? '')}</span>`}${agent.holds.map(
    ({ reason }) => html` ${badge('held', 'bad', `Held: ${reason}`)}`,
  )}${agent.protected && html` ${badge('protected', 'plain')}`}`;
}

/**
 * Renders a button for each operation that the agent's state and the role allow, as far as lists have it. An
 * operation that needs input links to its own page.
 */
export function listActions(agent: AgentJson, role: Role): Html {
  const shown = requestableOperations().filter(
    (operation) =>
      operation.isOnList && hasRole(role, leastRoleFor(operation)) && isPossible(agent, operation),
  );
  return html`<div class="actions">${shown.map((operation) => actionButton(agent.agentId, operation))}</div>`;
}

/** Whether the agent's state, holds and protection allow the operation. */
export function isPossible(agent: AgentJson, operation: Requestable): boolean {
  return whyNotNow(operation, agent) === undefined;
}

/** Whether the operator must confirm the operation or fill in its parameters first. */
export function needsInput({ confirm, parameters }: Requestable): boolean {
  return confirm !== undefined || parameters !== undefined;
}

/** Renders the button of an operation, or the link to its confirmation. */
export function actionButton(agentId: string, operation: Requestable): Html {
  const { kind, confirm } = operation;
  const id = `${kind}-${agentId}`;
  const path = `/agents/${agentId}/${kind}`;
  const text = html`${capitalized(kind)}<span class="visually-hidden"> ${agentId}</span>`;
  if (needsInput(operation))
    return html`<a class="button${confirm !== undefined && ' danger'}" id="${id}" href="${path}">${text}</a>
`;
  return html`<form method="post" action="${path}"><button id="${id}">${text}</button></form>
`;
}

/** Returns the seconds from the request to the end, or until now. */
export function totalSeconds(operation: OperationJson, now = Date.now()): number {
  const end = operation.finishedAt === null ? now : Date.parse(operation.finishedAt);
  return Math.max(0, (end - Date.parse(operation.createdAt)) / 1000);
}
