import type { Receipt } from '../../agents/receipts.ts';
import type { AuditRow } from '../../audit/listing.ts';
import { copyable } from '../design/copy.ts';
import { exactTime, when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { capitalized } from '../words.ts';

/** Renders the proof that everything of an agent is gone. */
export function receiptSection({ receiptId, kind, hash, createdAt, body }: Receipt): Html {
  const evidence = readEvidence(body);
  return html`<h2>Receipt of its ${kind === 'hibernate' ? 'hibernation' : 'deletion'}</h2>
<dl><div><dt>Receipt</dt><dd>${copyable(receiptId, 'the receipt’s id')}</dd></div>
<div><dt>Issued</dt><dd>${when(createdAt.toISOString())}</dd></div>
${evidence.gone.map(([cloud, at]) => html`<div><dt>Gone, says ${capitalized(cloud)}</dt><dd>${exactTime(at)}</dd></div>`)}
<div><dt>SHA-256, as in the audit chain</dt><dd>${copyable(hash, 'the hash')}</dd></div></dl>
${
  evidence.removed.length > 0 &&
  html`<table><caption class="visually-hidden">What was removed</caption>
<thead><tr><th scope="col">Removed</th><th scope="col">Cloud</th><th scope="col">Name</th><th scope="col">Id</th></tr></thead>
<tbody>${evidence.removed.map(
    ({ kind: what, cloud, name, id }) =>
      html`<tr><th scope="row">${what === 'ssh-key' ? 'SSH key' : capitalized(what)}</th><td data-label="Cloud">${capitalized(cloud)}</td><td data-label="Name">${name}</td><td data-label="Id">${id}</td></tr>`,
  )}</tbody></table>`
}
<details id="receipt-body"><summary>The whole receipt</summary><pre tabindex="0">${JSON.stringify(body, null, 2)}</pre></details>`;
}

interface ReceiptEvidence {
  removed: { kind: string; cloud: string; name: string; id: string }[];
  gone: [cloud: string, at: string][];
}

/** A receipt without evidence says so in its body. */
function readEvidence({ evidence }: Receipt['body']): ReceiptEvidence {
  const { removed = [], gone = {} } = (evidence ?? {}) as Partial<{
    removed: ReceiptEvidence['removed'];
    gone: Record<string, string>;
  }>;
  return { removed, gone: Object.entries(gone) };
}

/** Renders the newest rows of the audit log about the agent. */
export function historySection(history: readonly AuditRow[]): Html | undefined {
  if (history.length === 0) return undefined;
  return html`<h2>History</h2>
<details id="audit"><summary>The last ${history.length} entries of the audit log</summary>
<table><caption class="visually-hidden">Audit log, newest first</caption>
<thead><tr><th scope="col">What</th><th scope="col">Time</th><th scope="col">Who</th><th scope="col">Details</th></tr></thead>
<tbody>${history.map(
    ({ at, actor, action, details }) => html`<tr>
<th scope="row">${action}</th>
<td data-label="Time">${when(at.toISOString())}</td>
<td data-label="Who">${actor}</td>
<td data-label="Details">${detailWords(details)}</td>
</tr>`,
  )}</tbody></table></details>`;
}

function detailWords(details: Record<string, unknown>): string {
  const words = Object.entries(details).map(
    ([name, value]) => `${name}: ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return words.length === 0 ? '–' : words.join(', ').slice(0, 500);
}
