import type { AgentJson } from '../../http/agents/agent-json.ts';
import type { BuyerPage, BuyerTexts } from '../../http/deps.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import type { ExpectedSeconds } from '../../operations/expected.ts';
import { type Html, html, type Renderable } from '../html.ts';
import { duration } from '../words.ts';
import { billingBanner } from './billing-banner.ts';
import { BUYER_STEPS, buyerText, roughly } from './words.ts';

export interface BuyerView {
  agent: AgentJson;
  /** Its newest provision. */
  provision: OperationJson | undefined;
  expected: ExpectedSeconds | undefined;
  /** Seconds since the order. */
  elapsed: number;
  /** Stripe's page for what is open; undefined: nothing is, or it is not known. */
  payPage: string | undefined;
}

const SOON_SECONDS = 3;
const LATER_SECONDS = 30;
const UNDER_WAY = ['requested', 'provisioning', 'stopping', 'destroying'];
const MAY_CHANGE = ['failed', 'suspended', 'hibernated', 'stopped'];

/** After how many seconds the page looks again; undefined if nothing is going to change by itself. */
export function reloadAfter({ status }: AgentJson): number | undefined {
  if (UNDER_WAY.includes(status)) return SOON_SECONDS;
  return MAY_CHANGE.includes(status) ? LATER_SECONDS : undefined;
}

const TITLES: Partial<Record<AgentJson['status'], string>> = {
  requested: 'Your agent is on its way',
  provisioning: 'Your agent is on its way',
  running: 'Ready',
  failed: 'This did not work',
};

/** Whether it is being made, and the page says how long that takes. */
export function isOnItsWay({ status }: AgentJson): boolean {
  return status === 'requested' || status === 'provisioning';
}

/** Renders `/status/{agentId}`, the buyer's page. Shows only progress: no address, internal id or error. */
export function buyerPage(view: BuyerView, brand: BuyerPage): Html {
  const { agent } = view;
  const isUnderWay = isOnItsWay(agent);
  return frame(
    brand,
    html`<h1>${TITLES[agent.status] ?? 'Your agent'}</h1>
${billingBanner(agent, view.payPage ?? brand.payUrl)}
<p role="status">${buyerText(brand, textKey(agent))}</p>
${isUnderWay && progress(view, brand)}
${(isUnderWay || agent.status === 'running') && steps(view, brand)}
<p class="muted">Your reference: ${agent.agentId}${help(brand)}</p>
${isUnderWay && html`<p class="muted">This page keeps itself up to date. You can close it and come back.</p>`}`,
  );
}

const textKey = ({ status }: AgentJson): keyof BuyerTexts => (status === 'hibernated' ? 'suspended' : status);

/** Renders the operator's name and logo around the content. */
export function frame({ name, logo }: BuyerPage, content: Renderable): Html {
  const image =
    logo !== undefined && html`<img src="${'url' in logo ? logo.url : '/brand/logo'}" alt="" height="32">`;
  return html`<div class="buyer">
${(image || name !== undefined) && html`<p class="brand">${image}${name}</p>`}
${content}
</div>`;
}

function help({ helpUrl }: BuyerPage): Renderable {
  return helpUrl !== undefined && html` · ${helpLink(helpUrl)}`;
}

const helpLink = (url: string) => html`<a href="${url}" rel="noreferrer">Get help</a>`;

function progress({ agent, expected, elapsed }: BuyerView, brand: BuyerPage): Html {
  const done = reachedStep(agent);
  return html`<progress max="${BUYER_STEPS.length}" value="${done}" aria-label="Steps done">${done} of ${BUYER_STEPS.length}</progress>
<p class="expected">${
    expected === undefined
      ? 'This takes a few minutes at most.'
      : elapsed > expected.slow
        ? buyerText(brand, 'slow')
        : `Usually ready within ${roughly(expected.median)}, nearly always within ${roughly(expected.slow)}.`
  }</p>`;
}

/** How many steps are done. */
function reachedStep({ step, status }: AgentJson): number {
  if (status === 'running') return BUYER_STEPS.length;
  const reached = (BUYER_STEPS as readonly (string | null)[]).indexOf(step);
  return step === 'running' ? BUYER_STEPS.length : Math.max(0, reached);
}

function steps({ agent, provision }: BuyerView, brand: BuyerPage): Html {
  const reached = reachedStep(agent);
  return html`<ol class="timeline">${BUYER_STEPS.map((step, index) => {
    const state = index < reached ? 'done' : index === reached ? 'current' : 'ahead';
    const seconds = provision?.timeline.findLast((entry) => entry.step === step)?.seconds;
    return html`<li class="${state}"${state === 'current' && html` aria-current="step"`}><span>${buyerText(brand, step)}<span
class="visually-hidden">, ${state}</span></span>
<span class="number">${seconds !== undefined && seconds !== null && state === 'done' && took(seconds)}</span></li>
`;
  })}</ol>`;
}

const took = (seconds: number) => (seconds < 1 ? '< 1 s' : duration(seconds));

/** Renders what a buyer sees whose payment has arrived and whose agent has not been ordered yet. */
export function waitingPage(brand: BuyerPage): Html {
  return frame(
    brand,
    html`<h1>Thank you</h1>
<p role="status">We are waiting for the confirmation of your payment. That takes a few seconds.</p>
<p class="muted">This page keeps itself up to date${help(brand)}</p>`,
  );
}

/** Renders what a buyer sees whose order a person has to complete. */
export function attendedPage(brand: BuyerPage): Html {
  return frame(
    brand,
    html`<h1>Thank you</h1>
<p role="status">Your payment has arrived. A person on our side completes your order; you need not do anything.</p>
<p class="muted">This page keeps itself up to date${help(brand)}</p>`,
  );
}

export function refusedPage(brand: BuyerPage): Html {
  return frame(
    brand,
    html`<h1>This link is not valid</h1>
<p>It may have expired or be incomplete. Please use the link you were sent, or ask for a new one.</p>
${brand.helpUrl !== undefined && html`<p class="muted">${helpLink(brand.helpUrl)}</p>`}`,
  );
}

/** Renders what a buyer sees while the page itself cannot be shown: it says nothing of the reason. */
export function awayPage(brand: BuyerPage): Html {
  return frame(
    brand,
    html`<h1>One moment, please</h1>
<p role="status">This page cannot be shown just now. Your agent and your payment are not concerned.</p>
<p class="muted">It tries again by itself${help(brand)}</p>`,
  );
}
