import type { Asker } from '../../audit/listing.ts';
import type { Role } from '../../database/vocabulary.ts';
import type { OperationJson } from '../../http/operations/operation-json.ts';
import type { StoredEvent } from '../../operations/events/events.ts';
import { badge } from '../design/badge.ts';
import { patterns } from '../design/strip.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { cancelButton } from '../operation/cancel-page.ts';
import { logBox } from '../operation/log-box.ts';
import { problem } from '../operation/operation-page.ts';
import { type Timeline, timelineSection } from '../operation/timeline.ts';
import { totalSeconds } from '../parts.ts';
import { capitalized, firstLine, span } from '../words.ts';

export interface LatestOperation {
  timeline: Timeline;
  /** The end of its log, and the number of its last line, after which the page streams further ones. */
  log: { events: readonly StoredEvent[]; last: number };
}

/** Renders the newest operation: its timeline and the end of its log. */
export function latestSection({ timeline, log }: LatestOperation, role: Role): Html {
  const { operation } = timeline;
  const { operationId } = operation;
  return html`${patterns()}<section aria-labelledby="operation-title">
<div id="operation" data-live data-operation="${operationId}">
<div class="title"><h2 id="operation-title">${capitalized(operation.kind)} ${badge(operation.status)}</h2>${cancelButton(operation, role)}</div>
${problem(operation)}
${timelineSection(timeline)}
<div class="title"><h3>Log</h3><span class="actions"><a class="button" href="/operations/${operationId}">Whole log</a>
<a class="button" href="/operations/${operationId}/log.txt" download>Download</a></span></div>
</div>
${logBox({ operationId, events: log.events, keep: 'last', follows: log.last }).box}
</section>`;
}

/** Renders the operations before the newest, each with who asked for it and a link to its page. */
export function earlierSection(
  operations: readonly OperationJson[],
  askers: ReadonlyMap<string, Asker>,
): Html | undefined {
  if (operations.length === 0) return undefined;
  return html`<h2>Earlier operations</h2>
<table><caption class="visually-hidden">Earlier operations, newest first</caption>
<thead><tr><th scope="col">Operation</th><th scope="col">State</th><th scope="col">Requested</th>
<th scope="col">By</th><th scope="col">Took</th><th scope="col">Error</th></tr></thead>
<tbody>${operations.map((operation) => earlierRow(operation, askers.get(operation.operationId)))}</tbody></table>`;
}

function earlierRow(operation: OperationJson, asker: Asker | undefined): Html {
  const { operationId, kind, status, createdAt, error } = operation;
  return html`<tr>
<th scope="row"><a href="/operations/${operationId}">${capitalized(kind)}</a></th>
<td data-label="State">${badge(status)}</td>
<td data-label="Requested">${when(createdAt)}</td>
<td data-label="By">${asker?.actor ?? '–'}${asker?.cause != null && html` <span class="muted below">${firstLine(asker.cause)}</span>`}</td>
<td data-label="Took">${span(totalSeconds(operation))}</td>
<td data-label="Error">${error === null ? '–' : firstLine(error)}</td>
</tr>`;
}
