import type { Role } from '../../database/vocabulary.ts';
import type { AgentJson } from '../../http/agents/agent-json.ts';
import { leastRoleFor, requestableOperations } from '../../operations/registry.ts';
import type { Retryable } from '../../operations/retry-latest.ts';
import { hasRole } from '../../people/roles.ts';
import { emptyState } from '../design/banner.ts';
import { type Html, html } from '../html.ts';
import { isPossible } from '../parts.ts';
import { capitalized } from '../words.ts';

/** Retries each agent's newest operation, which the confirmation names. */
export const RETRY = 'retry';

/** What this role can do to several agents at once: operations without parameters, by rank. */
export function bulkKinds(role: Role): string[] {
  const operations = requestableOperations().filter(({ parameters }) => parameters === undefined);
  return [RETRY, ...operations.map(({ kind }) => kind)].filter((kind) => hasRole(role, leastRoleOf(kind)));
}

/** The least role that may ask for it. */
export function leastRoleOf(kind: string): Role {
  return leastRoleFor(requestableOperations().find((one) => one.kind === kind) ?? {});
}

/** Whether the operation loses something, so that its confirmation asks for the number. */
export function losesSomething(kind: string): boolean {
  return requestableOperations().some(
    (operation) => operation.kind === kind && operation.confirm !== undefined,
  );
}

export interface BulkChoice {
  kind: string;
  /** Those whose state allows it, and the others. */
  possible: readonly AgentJson[];
  impossible: readonly AgentJson[];
  /** What a retry concerns, by the agent's id. */
  retryable: ReadonlyMap<string, Retryable>;
}

export function sortOut(
  kind: string,
  agents: readonly AgentJson[],
  retryable: ReadonlyMap<string, Retryable>,
): BulkChoice {
  const operation = requestableOperations().find((one) => one.kind === kind);
  const allows = (agent: AgentJson) =>
    operation === undefined ? retryable.has(agent.agentId) : isPossible(agent, operation);
  const [possible, impossible] = [agents.filter(allows), agents.filter((agent) => !allows(agent))];
  return { kind, possible, impossible, retryable };
}

const several = (count: number) => (count === 1 ? '1 agent' : `${count} agents`);

/** Renders the confirmation: how many agents, which ones, and which ones not. */
export function bulkPage({ kind, possible, impossible, retryable }: BulkChoice): Html {
  const verb = capitalized(kind);
  const count = possible.length;
  if (count + impossible.length === 0) return nothingChosen();
  return html`<h1>${verb} ${several(count)}?</h1>
${explain(kind, possible)}
${impossible.length > 0 && html`<p class="notice">${several(impossible.length)} of those you ticked cannot be chosen for it now: ${nameAll(impossible, ({ status }) => status)}.</p>`}
${
  count === 0
    ? html`<p><a class="button" href="/agents">All agents</a></p>`
    : html`<p>${nameAll(possible, ({ agentId }) => retryable.get(agentId)?.kind)}</p>
<form class="actions" method="post" action="/bulk"><input type="hidden" name="kind" value="${kind}">
${possible.map(({ agentId }) => html`<input type="hidden" name="agentId" value="${agentId}">`)}
${possible.map(({ agentId }) => operationField(retryable.get(agentId)))}
${
  losesSomething(kind)
    ? html`<label>Type ${count} to confirm <input name="count" required inputmode="numeric" pattern="${count}" autocomplete="off"></label>`
    : html`<input type="hidden" name="count" value="${count}">`
}<button${losesSomething(kind) ? html` class="danger"` : html` class="primary"`}>${verb} ${several(count)}</button>
<a class="button" href="/agents">Cancel</a></form>`
}`;
}

function operationField(retried: Retryable | undefined): Html | undefined {
  if (retried === undefined) return undefined;
  return html`<input type="hidden" name="operationId" value="${retried.operation_id}">`;
}

function explain(kind: string, agents: readonly AgentJson[]): Html | undefined {
  if (kind === RETRY)
    return html`<p>The newest operation of each, which has failed, gets its next attempt.</p>`;
  const operation = requestableOperations().find((one) => one.kind === kind);
  if (operation === undefined) return undefined;
  const [first] = agents;
  const isFinal = operation.confirm !== undefined && first !== undefined;
  return html`<p>${isFinal ? `For each of them: ${operation.confirm?.explain('the same id')}` : `${capitalized(operation.cli)}.`}</p>`;
}

const nameAll = (agents: readonly AgentJson[], note: (agent: AgentJson) => string | undefined) =>
  agents.map((agent, index) => {
    const { agentId } = agent;
    const noted = note(agent);
    return html`${index > 0 && ', '}<a href="/agents/${agentId}">${agentId}</a>${noted !== undefined && ` (${noted})`}`;
  });

/** Renders the page for a form without agents, or without what to do with them. */
export function nothingChosen(): Html {
  return html`<h1>Several agents at once</h1>${emptyState(
    'Nothing is chosen',
    'Tick agents in the list, then choose what to do with them.',
    html`<a class="button primary" href="/agents">All agents</a>`,
  )}`;
}

const linkAll = (agentIds: readonly string[]) =>
  agentIds.map((agentId, index) => html`${index > 0 && ', '}<a href="/agents/${agentId}">${agentId}</a>`);

export interface BulkResult {
  kind: string;
  requested: readonly string[];
  refused: readonly { agentId: string; why: string }[];
  /** Not asked for any more after an error. */
  untried: readonly string[];
}

/** Renders what became of it. */
export function bulkResultPage({ kind, requested, refused, untried }: BulkResult): Html {
  return html`<h1>${capitalized(kind)}: requested for ${several(requested.length)}</h1>
${
  refused.length > 0 &&
  html`<section class="problem" aria-labelledby="refused-title"><h2 id="refused-title">Refused for ${several(refused.length)}</h2>
<ul>${refused.map(({ agentId, why }) => html`<li><a href="/agents/${agentId}">${agentId}</a>: ${why}</li>`)}</ul></section>`
}
${
  untried.length > 0 &&
  html`<section class="problem" aria-labelledby="untried-title"><h2 id="untried-title">Not tried for ${several(untried.length)}</h2>
<p>${linkAll(untried)}</p></section>`
}
<p>${linkAll(requested)}</p>
<p><a class="button primary" href="/agents">All agents</a></p>`;
}
