import type { StoredEvent } from '../../operations/events/events.ts';
import { type Html, html } from '../html.ts';
import { fitLines, renderLines } from './log-lines.ts';

export interface LogBox {
  operationId: string;
  events: readonly StoredEvent[];
  /** Which end of the events is kept if they do not fit. */
  keep: 'first' | 'last';
  /** The line that was asked for. */
  here?: number | undefined;
  /** The log's last line, after which the page streams further ones; undefined: the page is not its end. */
  follows?: number | undefined;
}

/** Renders the lines with their switches, and which of them fitted. */
export function logBox({ operationId, events, keep, here, follows }: LogBox): {
  box: Html;
  first: number | undefined;
  last: number | undefined;
} {
  const lines = fitLines(events, operationId, { keep, here });
  const box = html`<div class="log-switches"><label><input type="checkbox" id="wrap" checked> Wrap long lines</label>
${follows !== undefined && html`<label class="needs-script"><input type="checkbox" id="follow" checked> Follow</label>`}</div>
<div id="log" tabindex="0" role="log" aria-label="Log" data-operation="${operationId}"${
    follows !== undefined && html` data-last="${follows}"`
  }>
${lines.length === 0 ? html`<p class="muted none">Nothing is logged yet. Lines appear here as they are written.</p>` : renderLines(lines)}</div>`;
  return { box, first: lines[0]?.event.sequence, last: lines.at(-1)?.event.sequence };
}
