import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { ALLOWED_FROM, type OperationKind } from '../operations/states.ts';
import { type Html, html } from './html.ts';
import { capitalized, duration, stepWords } from './words.ts';

/** A state as a coloured word. */
export function badge(state: string): Html {
  return html`<span class="badge ${state}">${capitalized(state)}</span>`;
}

/** The agent's state, with the step of a provision under way. */
export function agentState(agent: AgentJson): Html {
  const underWay = agent.status === 'provisioning' && agent.step !== null;
  return html`${badge(agent.status)}${underWay && html` <span class="muted">${stepWords(agent.step ?? '')}</span>`}`;
}

/** What can be asked for on the list of agents, and on the page of one besides. */
const ON_THE_LIST: readonly OperationKind[] = ['start', 'stop', 'refresh', 'destroy'];
const ON_THE_PAGE: readonly OperationKind[] = [
  'start',
  'stop',
  'restart',
  'reconfigure',
  'refresh',
  'rebuild',
  'destroy',
];

/** A button for each thing that the agent's state allows; those without a way back lead to a question. */
export function agentActions(agent: AgentJson, where: 'list' | 'page'): Html {
  const kinds = where === 'list' ? ON_THE_LIST : ON_THE_PAGE;
  const allowed = kinds.filter((kind) => ALLOWED_FROM[kind]?.includes(agent.status));
  return html`<div class="actions">${allowed.map((kind) => actionButton(agent.agentId, kind))}</div>`;
}

function actionButton(agentId: string, kind: OperationKind): Html {
  const id = `${kind}-${agentId}`;
  const path = `/agents/${agentId}/${kind}`;
  const text = html`${capitalized(kind)}<span class="visually-hidden"> ${agentId}</span>`;
  if (kind === 'destroy' || kind === 'rebuild')
    return html`<a class="button danger" id="${id}" href="${path}">${text}</a>
`;
  return html`<form method="post" action="${path}"><button id="${id}">${text}</button></form>
`;
}

/** The steps with their durations; the last step of an unfinished operation is still running. */
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

/** From the request to the end, or to now. */
export function totalSeconds(operation: OperationJson, now = Date.now()): number {
  const end = operation.finishedAt === null ? now : Date.parse(operation.finishedAt);
  return Math.max(0, (end - Date.parse(operation.createdAt)) / 1000);
}
