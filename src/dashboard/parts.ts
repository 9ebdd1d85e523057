import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { type Html, html } from './html.ts';
import { capitalized, duration, stepWords } from './words.ts';

/** A state with its colour; the word says it too. */
export function badge(state: string): Html {
  return html`<span class="badge ${state}">${capitalized(state)}</span>`;
}

/** The agent's state, and while it is being provisioned where that stands. */
export function agentState(agent: AgentJson): Html {
  const underWay = agent.status === 'provisioning' && agent.step !== null;
  return html`${badge(agent.status)}${underWay && html` <span class="muted">${stepWords(agent.step ?? '')}</span>`}`;
}

export function agentActions(agent: AgentJson): Html {
  const path = `/agents/${agent.agentId}`;
  const refreshable = ['running', 'stopped', 'suspended'].includes(agent.status);
  const destroyable = !['destroying', 'destroyed'].includes(agent.status);
  return html`<div class="actions">
${
  refreshable &&
  html`<form method="post" action="${path}/refresh"><button id="refresh-${agent.agentId}">Refresh<span
  class="visually-hidden"> ${agent.agentId}</span></button></form>`
}
${
  destroyable &&
  html`<a class="button danger" id="destroy-${agent.agentId}" href="${path}/destroy">Destroy<span
  class="visually-hidden"> ${agent.agentId}</span></a>`
}
</div>`;
}

/** The steps with their lengths; the last of an unfinished operation is under way. */
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
