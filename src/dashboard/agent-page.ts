import type { Receipt } from '../agents/receipts.ts';
import type { AuditRow } from '../audit/listing.ts';
import type { AgentJson } from '../http/agents/agent-json.ts';
import type { OperationJson } from '../http/operations/operation-json.ts';
import type { StoredEvent } from '../operations/events/events.ts';
import type { Ledger } from '../operations/ledger.ts';
import type { Retryable } from '../operations/retry-latest.ts';
import { badge } from './design/badge.ts';
import { when } from './design/when.ts';
import { holdActions, holdBanner } from './holds.ts';
import { type Html, html, type Renderable } from './html.ts';
import { ledgerSection } from './ledger-section.ts';
import { agentActions, agentState, timelineList, totalSeconds } from './parts.ts';
import { retryButton } from './retry-button.ts';
import { capitalized, duration, stepWords } from './words.ts';

export interface AgentPage {
  agent: AgentJson;
  /** Its newest operation, if that has failed and may be retried with one click. */
  retryable: Retryable | undefined;
  /** Newest first. */
  operations: OperationJson[];
  /**
   * The newest operation's last log lines, oldest first, and the sequence number after which the page streams
   * further lines.
   */
  log: { lines: StoredEvent[]; lastSequence: number };
  buyersPage: string;
  followsPayments: boolean;
  /** The newest rows of the audit log about it, newest first. */
  history: AuditRow[];
  /** Of its deletion. */
  receipt: Receipt | undefined;
  /** Of its first provision. */
  ledger: Ledger | undefined;
}

/** Renders `/agents/{agentId}`: everything about one agent. */
export function agentPage(page: AgentPage): Html {
  const { agent, operations, log, buyersPage, followsPayments, history, receipt, ledger } = page;
  const [latest, ...earlier] = operations;
  return html`<div id="summary" data-live>
<div class="title"><h1>${agent.agentId}</h1>${agentActions(agent, 'page', html`${page.retryable !== undefined && retryButton(page.retryable)}${holdActions(agent)}`)}</div>
<p>${agentState(agent)} ${agent.status !== 'destroyed' && badge(agent.health)}${
    agent.unhealthySince !== null && html` <span class="muted">since ${when(agent.unhealthySince)}</span>`
  }</p>
${holdBanner(agent, followsPayments)}
${agent.error !== null && html`<p class="problem" role="alert">${agent.error}</p>`}
${facts(agent)}
</div>
<p><a href="${buyersPage}">Buyer’s status page</a></p>
${latest !== undefined && operationSection(latest, log)}
<div id="earlier" data-live>${earlier.length > 0 && earlierTable(earlier)}</div>
<div id="ledger" data-live>${ledger !== undefined && ledgerSection(ledger)}</div>
<div id="receipt" data-live>${receipt !== undefined && receiptSection(receipt)}</div>
<div id="history" data-live>${history.length > 0 && historyTable(history)}</div>`;
}

function facts(agent: AgentJson): Html {
  const rows: [string, Renderable][] = [
    ['Buyer', agent.userId],
    ['Plan', planText(agent)],
    ['Region', `${agent.region} (${agent.location})`],
    ['Stack', html`<code>${agent.stackName}</code>`],
    ['Server', agent.serverName && `${agent.serverName} (${agent.serverId})`],
    ['IPv4', agent.ipv4],
    ['IPv6', agent.ipv6],
    ['Tailnet address', agent.tailnetIp],
    ['Tailnet name', agent.tailnetName],
    ['Subscription', agent.subscriptionId],
    ['Ordered', when(agent.createdAt)],
  ];
  return html`<dl>${rows.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value || '–'}</dd></div>`)}</dl>`;
}

function planText({ plan, planChosenAt }: AgentJson): Renderable {
  if (planChosenAt === null) return plan;
  return html`${plan}, chosen by a person ${when(planChosenAt)}: it stays until its price changes`;
}

function operationSection(operation: OperationJson, log: AgentPage['log']): Html {
  return html`<section aria-labelledby="operation-title">
<div id="operation" data-live data-operation="${operation.operationId}">
<h2 id="operation-title">${capitalized(operation.kind)} ${badge(operation.status)}</h2>
<p class="muted">${duration(totalSeconds(operation))} in total, attempt ${operation.attempt}${
    operation.retryCount > 0 && `, ${operation.retryCount} failed`
  }</p>
${
  operation.error !== null &&
  html`<p class="problem">${operation.failedStep !== null && html`${stepWords(operation.failedStep)}: `}${operation.error}</p>`
}
${timelineList(operation)}
</div>
<h3 id="log-title">Log</h3>
<pre id="log" tabindex="0" role="log" aria-labelledby="log-title" data-operation="${operation.operationId}"
 data-last="${log.lastSequence}">${log.lines.map((event) => `${String(event.data.line)}\n`)}</pre>
</section>`;
}

function earlierTable(operations: OperationJson[]): Html {
  return html`<h2>Earlier operations</h2>
<table>
<thead><tr><th scope="col">Operation</th><th scope="col">State</th><th scope="col">Requested</th>
<th scope="col">Duration</th><th scope="col">Error</th></tr></thead>
<tbody>${operations.map(
    (operation) => html`<tr>
<th scope="row">${capitalized(operation.kind)}</th>
<td data-label="State">${badge(operation.status)}</td>
<td data-label="Requested">${when(operation.createdAt)}</td>
<td data-label="Duration">${duration(totalSeconds(operation))}</td>
<td data-label="Error">${operation.error ?? '–'}</td>
</tr>`,
  )}</tbody></table>`;
}

function receiptSection({ receiptId, kind, hash, createdAt, body }: Receipt): Html {
  return html`<h2>Receipt of its ${kind === 'hibernate' ? 'hibernation' : 'deletion'}</h2>
<p class="muted">${receiptId}, ${when(createdAt.toISOString())}, SHA-256 <code>${hash}</code></p>
<pre>${JSON.stringify(body, null, 2)}</pre>`;
}

function historyTable(history: readonly AuditRow[]): Html {
  return html`<h2>History</h2>
<table>
<thead><tr><th scope="col">What</th><th scope="col">Time</th><th scope="col">Who</th><th scope="col">Details</th></tr></thead>
<tbody>${history.map(
    ({ at, actor, action, details }) => html`<tr>
<th scope="row">${action}</th>
<td data-label="Time">${when(at.toISOString())}</td>
<td data-label="Who">${actor}</td>
<td data-label="Details">${Object.keys(details).length > 0 ? JSON.stringify(details) : '–'}</td>
</tr>`,
  )}</tbody></table>`;
}
