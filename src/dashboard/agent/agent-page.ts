import type { AgentChange } from '../../agents/changes.ts';
import type { Receipt } from '../../agents/receipts.ts';
import type { StackResources } from '../../agents/stack-resources.ts';
import type { Asker, AuditRow } from '../../audit/listing.ts';
import type { Consoles } from '../../http/deps.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import type { Ledger } from '../../operations/ledger.ts';
import { hasRole } from '../../people/roles.ts';
import type { Finding } from '../../reconcile/agent-findings.ts';
import { badge } from '../design/badge.ts';
import { needBanner } from '../design/banner.ts';
import { when } from '../design/when.ts';
import { holdBanner } from '../holds.ts';
import { type Html, html } from '../html.ts';
import { agentState } from '../parts.ts';
import { type Actions, actionsSection } from './actions.ts';
import { billingSection } from './billing-section.ts';
import { commandsSection } from './commands-section.ts';
import { identitySection } from './identity.ts';
import { ledgerSection } from './ledger-section.ts';
import { earlierSection, type LatestOperation, latestSection } from './operations-section.ts';
import { historySection, receiptSection } from './records-section.ts';
import { resourcesSection } from './resources-section.ts';
import { snapshotsSection } from './snapshots-section.ts';
import { statesSection } from './states-section.ts';

export interface AgentPage extends Actions {
  latest: LatestOperation | undefined;
  /** Newest first, without the newest. */
  earlier: readonly OperationJson[];
  /** By the operation's id. */
  askers: ReadonlyMap<string, Asker>;
  changes: readonly AgentChange[];
  resources: StackResources | undefined;
  findings: readonly Finding[];
  buyersPage: string;
  followsPayments: boolean;
  consoles: Consoles | undefined;
  /** The newest rows of the audit log about it, newest first. */
  history: readonly AuditRow[];
  /** Of its deletion. */
  receipt: Receipt | undefined;
  /** Of its first provision. */
  ledger: Ledger | undefined;
}

/** Renders `/agents/{agentId}`: everything about one agent. */
export function agentPage(page: AgentPage): Html {
  const { agent, latest, buyersPage, receipt, ledger } = page;
  return html`<div id="summary" data-live>${summary(page)}</div>
<div id="receipt" data-live>${receipt !== undefined && receiptSection(receipt)}</div>
<div class="columns"><div id="actions" data-live>${actionsSection(page)}</div>
<div id="facts" data-live>${identitySection(agent, page.consoles)}
<p><a href="${buyersPage}">Buyer’s status page</a></p></div></div>
${latest !== undefined && latestSection(latest, page.role)}
<div id="states" data-live>${statesSection(page.changes)}</div>
<div class="columns"><div id="billing" data-live>${billingSection(agent)}</div>
<div id="ledger" data-live>${ledger !== undefined && ledgerSection(ledger)}</div></div>
<div id="resources" data-live>${resourcesSection(agent, page.resources)}</div>
<div id="snapshots" data-live>${snapshotsSection(page.snapshots)}</div>
<div id="earlier" data-live>${earlierSection(page.earlier, page.askers)}</div>
<div id="commands" data-live>${commandsSection(agent)}</div>
<div id="history" data-live>${historySection(page.history)}</div>`;
}

const PLACES = [
  ['actions', 'Actions'],
  ['facts', 'Identity'],
  ['operation', 'Last operation'],
  ['log', 'Log'],
  ['states', 'State'],
  ['billing', 'Billing'],
  ['resources', 'Resources'],
  ['commands', 'Commands'],
  ['history', 'History'],
] as const;

function summary({ agent, followsPayments, findings, role }: AgentPage): Html {
  return html`<p class="crumbs"><a href="/agents">Agents</a> ›</p>
<h1>${agent.agentId}</h1>
<p>${agentState(agent)} ${agent.status !== 'destroyed' && badge(agent.health)}${
    agent.unhealthySince !== null && html` <span class="muted">since ${when(agent.unhealthySince)}</span>`
  }</p>
${holdBanner(agent, { followsPayments, mayRelease: hasRole(role, 'operator') })}
${agent.error !== null && html`<p class="problem" role="alert">${agent.error}</p>`}
${findings.map(({ cause, cure, since }, index) => needBanner({ id: `finding-${index}`, title: html`The clouds and the records differ <span class="muted">${when(since.toISOString())}</span>`, cause, cure }))}
<nav class="places" aria-label="On this page">${PLACES.map(([id, text]) => html`<a href="#${id}">${text}</a>`)}</nav>`;
}
