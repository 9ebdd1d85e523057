import { AGENT_STEPS } from '../agents/states.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import { type Html, html } from './html.ts';
import { duration, stepWords } from './words.ts';

export const RELOAD_SECONDS = 3;

/** Whether the agent's status will change soon, so that the page should reload. */
export function isUnderWay(agent: AgentJson): boolean {
  return ['requested', 'provisioning', 'stopping', 'destroying'].includes(agent.status);
}

const SENTENCES: Record<AgentJson['status'], string> = {
  requested: 'Your agent is next in line.',
  provisioning: 'Your agent is being set up.',
  running: 'Your agent is running.',
  stopping: 'Your agent is being stopped.',
  stopped: 'Your agent is stopped.',
  suspended: 'Your agent is suspended. Everything on it is kept.',
  hibernated: 'Your agent is suspended. Everything on it is kept.',
  failed: 'Something went wrong on our side. We know about it and are looking into it.',
  destroying: 'Your agent is being removed.',
  destroyed: 'Your agent has been removed.',
};

/** Whether nothing but a payment is missing. */
function waitsForPayment({ status, holds }: AgentJson): boolean {
  const isOff = status === 'suspended' || status === 'hibernated';
  return isOff && holds.length > 0 && holds.every(({ reason }) => reason === 'payment');
}

/** Renders `/status/{agentId}`, the buyer's page. Shows only progress: no address, internal id or error. */
export function statusPage(agent: AgentJson, provision: OperationJson | undefined): Html {
  const showSteps = ['requested', 'provisioning', 'running'].includes(agent.status);
  return html`<div class="narrow">
<h1>${agent.status === 'running' ? 'Ready' : 'Your agent'}</h1>
<p role="status">${SENTENCES[agent.status]}${waitsForPayment(agent) && ' It runs again once the payment has arrived.'}</p>
${showSteps && steps(agent, provision)}
${isUnderWay(agent) && html`<p class="muted">This page updates every ${RELOAD_SECONDS} seconds.</p>`}
</div>`;
}

function steps(agent: AgentJson, provision: OperationJson | undefined): Html {
  const reached = AGENT_STEPS.indexOf(agent.step ?? 'queued');
  const done = agent.status === 'running';
  return html`<ol class="timeline">${AGENT_STEPS.map((step, index) => {
    const state = done || index < reached ? 'done' : index === reached ? 'current' : 'ahead';
    const seconds = provision?.timeline.findLast((entry) => entry.step === step)?.seconds;
    return html`<li class="${state}"${state === 'current' && html` aria-current="step"`}><span>${stepWords(step)}<span
class="visually-hidden">, ${state}</span></span>
<span class="number">${seconds !== undefined && seconds !== null && step !== 'running' && duration(seconds)}</span></li>
`;
  })}</ol>`;
}

export function statusRefusedPage(): Html {
  return html`<div class="narrow"><h1>This link is not valid</h1>
<p>It may have expired or be incomplete. Please use the link you were sent, or ask for a new one.</p></div>`;
}
