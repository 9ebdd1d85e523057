import type { AttentionClass, Role } from '../../database/vocabulary.ts';
import type { BreakerState } from '../../limits/listing.ts';
import type { Retryable } from '../../operations/retry-latest.ts';
import { hasRole } from '../../people/roles.ts';
import { SILENT } from '../../reconcile/attention.ts';
import type { InstallationCheck } from '../../reconcile/checks/store.ts';
import type { NeedGroup } from '../../reconcile/needs.ts';
import { breakerBanner } from '../attention-page.ts';
import { emptyState, needBanner } from '../design/banner.ts';
import { when } from '../design/when.ts';
import { type Html, html, type Renderable } from '../html.ts';
import { retryButton } from '../retry-button.ts';
import { capitalized } from '../words.ts';

export interface Needs {
  groups: readonly NeedGroup[];
  breakers: readonly BreakerState[];
  /** Failed checks of the workers' configuration. */
  problems: readonly InstallationCheck[];
  /** What may be retried with one click, by the agent's id. */
  retryable: ReadonlyMap<string, Retryable>;
}

/** Renders what needs a person, one banner a cause, each with its cure and the button for that. */
export function needsSection(
  { groups, breakers, problems, retryable }: Needs,
  { isEmptyFleet, role }: { isEmptyFleet: boolean; role: Role },
): Html {
  if (groups.length === 0)
    return html`<h2>Needs you</h2>
${isEmptyFleet ? html`<p class="muted">Nothing.</p>` : emptyState('All is well', 'Nothing needs you. What does appears here, with its cause and its cure.')}`;
  return html`<h2>Needs you</h2>
${groups.map((group, index) => {
  const breaker = group.class === 'breaker' ? breakers.find(({ name }) => name === group.key) : undefined;
  if (breaker !== undefined) return breakerBanner(breaker);
  return needBanner({
    id: `need-${index}`,
    title: html`${titleOf(group, problems)} <span class="muted">${sinceWords(group)}</span>`,
    cause: group.cause,
    cure: group.cure,
    actions: actionsFor(group, retryable, role),
  });
})}
<p class="muted"><a href="/attention">Everything that needs you, one by one</a></p>`;
}

function sinceWords({ since, last, count }: NeedGroup): Renderable {
  if (count === 1) return when(since.toISOString());
  return html`first ${when(since.toISOString())}, last ${when(last.toISOString())}`;
}

const SEVERAL: Record<AttentionClass, string> = {
  order: 'paid orders wait',
  failed: 'agents have failed',
  unhealthy: 'agents do not answer',
  breaker: 'breakers hold changes back',
  mismatch: 'differences between the clouds and the records',
  configuration: 'problems with the configuration',
  proposal: 'proposals wait for you',
};
const ONE: Record<AttentionClass, string> = {
  order: 'A paid order waits',
  failed: 'has failed',
  unhealthy: 'does not answer',
  breaker: 'A breaker holds changes back',
  mismatch: 'The clouds and the records differ',
  configuration: 'Configuration problem',
  proposal: 'A proposal waits for you',
};

function titleOf(
  { class: name, key, count, agentIds }: NeedGroup,
  problems: readonly InstallationCheck[],
): string {
  if (name === 'configuration' && key === 'workers') return 'No worker runs';
  if (name === 'configuration') {
    const blocks = problems.some((problem) => problem.name === key && problem.blocks);
    const title = blocks ? 'Orders are on hold until this is fixed' : ONE.configuration;
    return `${title}: ${capitalized(key)}`;
  }
  const isSilent = key.startsWith(SILENT);
  if (count > 1 && isSilent) return `${count.toLocaleString('en')} operations do not move`;
  if (count > 1) return `${count.toLocaleString('en')} ${SEVERAL[name]}`;
  const [agentId] = agentIds;
  if (isSilent) return `An operation of agent ${agentId} does not move`;
  const concernsAgent = (name === 'failed' || name === 'unhealthy') && agentId !== undefined;
  return concernsAgent ? `Agent ${agentId} ${ONE[name]}` : ONE[name];
}

/** The page that lists what the group counts. */
const LISTS: Partial<Record<AttentionClass, string>> = {
  failed: '/agents?status=failed',
  unhealthy: '/agents?health=unhealthy',
};

/** At most two clicks to what is to be done: the button itself, or the page that has it. */
function actionsFor(group: NeedGroup, retryable: Needs['retryable'], role: Role): Renderable {
  const { class: name, count, agentIds } = group;
  const [agentId] = agentIds;
  if (name === 'configuration') return undefined;
  if (count > 1)
    return html`<a class="button primary" href="${group.key.startsWith(SILENT) ? '/attention' : (LISTS[name] ?? '/attention')}">Show all ${count.toLocaleString('en')}</a>`;
  if (agentId === undefined) return html`<a class="button primary" href="/attention">Show it</a>`;
  if (group.key.startsWith(SILENT)) return silentActions(agentId, group.key.slice(SILENT.length), role);
  const retried = name === 'failed' && hasRole(role, 'operator') ? retryable.get(agentId) : undefined;
  const restarts = name === 'unhealthy' && hasRole(role, 'support');
  return html`${restarts && form(agentId, 'restart', 'Restart')}${
    retried !== undefined && retryButton(retried)
  }<a class="button" href="/agents/${agentId}#operation">Open ${agentId}</a>`;
}

const silentActions = (agentId: string, operationId: string, role: Role) =>
  html`<a class="button primary" href="/operations/${operationId}">Its log</a>
${hasRole(role, 'operator') && html`<a class="button danger" href="/operations/${operationId}/cancel">Cancel</a>`}<a class="button" href="/agents/${agentId}">Open ${agentId}</a>`;

function form(agentId: string, verb: string, text: string): Html {
  return html`<form method="post" action="/agents/${agentId}/${verb}"><button class="primary">${text}</button></form>`;
}
