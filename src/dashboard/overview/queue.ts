import type { WaitingOperation } from '../../operations/waiting.ts';
import type { Workforce } from '../../reconcile/workforce.ts';
import { relativeTime, when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { capitalized } from '../words.ts';

export interface Waiting {
  count: number;
  first: readonly WaitingOperation[];
}

/** Renders the queue: what waits, for how long, why, and in which place. */
export function queueSection({ count, first }: Waiting, workforce: Workforce): Html {
  if (count === 0)
    return html`<h2>Queue</h2>
<p class="muted">Nothing waits. ${workforce.active === 0 ? 'No operation is under way.' : `${workforce.active} under way.`}</p>`;
  return html`<h2>Queue <span class="muted">${count.toLocaleString('en')} waiting</span></h2>
<ol class="queue">${first.map((operation, index) => waitingItem(operation, index + 1, workforce))}</ol>
${count > first.length && html`<p class="muted">And ${(count - first.length).toLocaleString('en')} more behind them.</p>`}`;
}

function waitingItem(operation: WaitingOperation, place: number, workforce: Workforce): Html {
  const { agentId, kind, createdAt, cause } = operation;
  return html`<li><span class="place">${cause === 'worker' ? place : '–'}</span>
<a href="/agents/${agentId}#operation">${capitalized(kind)} of ${agentId}</a>
<span>${when(createdAt.toISOString())}</span>
<span class="why">${whyItWaits(operation, workforce)}</span></li>
`;
}

/** Says in words why a queued operation does not run yet. */
export function whyItWaits(operation: WaitingOperation, workforce: Workforce, now = Date.now()): string {
  const { cause, behind, waitsFor, error, runAfter } = operation;
  const next = relativeTime(runAfter.toISOString(), now);
  switch (cause) {
    case 'worker':
      if (workforce.workers === 0) return 'No worker runs.';
      return workforce.active >= workforce.slots ? 'All workers are busy.' : 'It is next.';
    case 'agent':
      return `The ${behind} of the same agent goes first.`;
    case 'supply':
      return waitsFor ?? '';
    case 'payments':
      return 'Something about its payments is recorded and is read at Stripe first.';
    case 'runner':
      return 'GitHub has been asked to run it, and no runner has reported yet.';
    case 'time':
      return error === null
        ? `It is for later: ${next}.`
        : `The next try is ${next}. The last one failed: ${error}`;
  }
}
