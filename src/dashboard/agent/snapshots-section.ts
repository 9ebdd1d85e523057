import type { AgentSnapshotRow } from '../../agents/snapshots.ts';
import { badge } from '../design/badge.ts';
import { copyable } from '../design/copy.ts';
import { exactTime, when } from '../design/when.ts';
import { type Html, html } from '../html.ts';

/** Why a snapshot was made, in words. */
export const SNAPSHOT_REASONS = {
  scheduled: 'schedule',
  'by-hand': 'by hand',
  'before-destroy': 'before its destroy',
};

/** Renders the snapshots of the agent's disk that are kept beside its server; nothing without any. */
export function snapshotsSection(snapshots: readonly AgentSnapshotRow[]): Html | undefined {
  if (snapshots.length === 0) return undefined;
  return html`<h2>Snapshots</h2>
<table><caption class="visually-hidden">Snapshots of its disk, newest first</caption>
<thead><tr><th scope="col">Made</th><th scope="col">Status</th><th scope="col">Why</th><th scope="col">Size</th><th scope="col">Kept until</th><th scope="col">Id</th></tr></thead>
<tbody>${snapshots.map(
    (one) => html`<tr><th scope="row">${when(one.made_at.toISOString())}</th>
<td data-label="Status">${badge(one.status)}${one.error !== null && html` <span class="problem">${one.error}</span>`}</td>
<td data-label="Why">${SNAPSHOT_REASONS[one.why]}</td>
<td data-label="Size">${one.size_gb === null ? '–' : `${one.size_gb.toFixed(2)} GB`}</td>
<td data-label="Kept until">${one.delete_after === null ? '–' : exactTime(one.delete_after.toISOString())}</td>
<td data-label="Id">${copyable(one.snapshot_id, 'the snapshot’s id')}</td></tr>`,
  )}</tbody></table>`;
}
