import type { Ledger } from '../../operations/ledger.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { duration, stepWords } from '../words.ts';

const SERVERS = {
  cold: 'with a new server',
  warm: 'with a server that waited',
  adopted: 'with a server that was made by hand',
} as const satisfies Record<Ledger['way'], string>;

/** Renders where the time from the order to the running agent went. */
export function ledgerSection({ way, orderedAt, seconds, steps }: Ledger): Html {
  const total = seconds === null ? 'not running yet' : duration(seconds);
  const from = SERVERS[way];
  return html`<h2>From payment to running</h2>
<p class="muted">${total}, ${from}, ordered ${when(orderedAt.toISOString())}</p>
<ol class="timeline">${steps
    .filter(({ step, seconds: own }) => own > 0 && step !== 'running')
    .map(
      (entry) => html`<li><span>${stepWords(entry.step)}</span>
<span class="number">${duration(entry.seconds)}</span></li>
`,
    )}</ol>`;
}
