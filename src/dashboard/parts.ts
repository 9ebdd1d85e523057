import { stopsAgent } from '../agents/holds.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { type Requestable, requestableOperations } from '../operations/registry.ts';
import { badge } from './design/badge.ts';
import { type Html, html } from './html.ts';
import { capitalized, duration, stepWords } from './words.ts';

/** Renders the agent's state, with the step of its provision, its holds and its protection. */
export function agentState(agent: AgentJson): Html {
  const underWay = agent.status === 'provisioning' && agent.step !== null;
  return html`${badge(agent.status)}${underWay && html` <span class="muted">${stepWords(agent.step ?? '')}</span>`}${agent.holds.map(
    ({ reason }) => html` ${badge('held', 'bad', `Held: ${reason}`)}`,
  )}${agent.protected && html` ${badge('protected', 'plain')}`}`;
}

/**
 * Renders a button for each operation that the agent's state allows. An operation that needs input links to
 * its own page. `more`: further buttons.
 */
export function agentActions(agent: AgentJson, where: 'list' | 'page', more?: Html): Html {
  const shown = requestableOperations().filter(
    (operation) => isPossible(agent, operation) && (where === 'page' || operation.isOnList),
  );
  return html`<div class="actions">${shown.map((operation) => actionButton(agent.agentId, operation))}${more}</div>`;
}

/** Whether the agent's state, holds and protection allow the operation. */
export function isPossible(agent: AgentJson, { from, runsAgent, removesAgent }: Requestable): boolean {
  const isHeld = agent.holds.some(({ reason }) => stopsAgent(reason));
  return from.includes(agent.status) && !(runsAgent && isHeld) && !(removesAgent && agent.protected);
}

/** Whether the operator must confirm the operation or fill in its parameters first. */
export function needsInput({ confirm, parameters }: Requestable): boolean {
  return confirm !== undefined || parameters !== undefined;
}

function actionButton(agentId: string, operation: Requestable): Html {
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

/** Renders the steps with their durations. The last step of an unfinished operation is still running. */
export function timelineList(operation: OperationJson, now = Date.now()): Html {
  const entries = operation.timeline.filter((entry) => entry.step !== 'finished');
  return html`<ol class="timeline">${entries.map((entry) => {
    const seconds = entry.seconds ?? (now - Date.parse(entry.startedAt)) / 1000;
    const underWay = entry.seconds === null;
    return html`<li${underWay && html` class="current" aria-current="step"`}><span>${stepWords(entry.step)}</span>
<span class="number">${duration(Math.max(0, seconds))}${underWay && ' so far'}</span></li>
`;
  })}</ol>`;
}

/** Returns the seconds from the request to the end, or until now. */
export function totalSeconds(operation: OperationJson, now = Date.now()): number {
  const end = operation.finishedAt === null ? now : Date.parse(operation.finishedAt);
  return Math.max(0, (end - Date.parse(operation.createdAt)) / 1000);
}
