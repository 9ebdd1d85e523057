import type { BreakerState } from '../../limits/listing.ts';
import type { FailureReason, HourFigures, ProvisionFigures } from '../../operations/figures.ts';
import type { Workforce } from '../../reconcile/workforce.ts';
import { barChart } from '../design/bar-chart.ts';
import { type Bar, barList, card } from '../design/bar-list.ts';
import { lineChart } from '../design/line-chart.ts';
import { when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { duration, firstLine, stepWords } from '../words.ts';

export interface Figures {
  provisions: { hours: readonly HourFigures[]; total: ProvisionFigures };
  failures: readonly FailureReason[];
  breakers: readonly BreakerState[];
  workforce: Workforce;
}

/** Renders the figures of the last 24 hours, and how much of each limit is used. */
export function figuresSection({ provisions, failures, breakers, workforce }: Figures): Html {
  return html`<h2>Last 24 hours</h2>
<div class="charts">${provisionChart(provisions)}${durationChart(provisions)}${failureCard(failures)}${limitCard(breakers, workforce)}</div>`;
}

/** Of the hour in UTC, as `09:00`. */
const hourLabel = ({ hour }: HourFigures) => `${hour.toISOString().slice(11, 13)}:00`;

function provisionChart({ hours, total }: Figures['provisions']): Html {
  const most = hours.reduce((a, b) => (b.succeeded + b.failed > a.succeeded + a.failed ? b : a));
  const busiest = most.succeeded + most.failed;
  const summary =
    busiest === 0
      ? 'None began or ended.'
      : `${total.succeeded} succeeded, ${total.failed} failed; most in an hour: ${busiest}, at ${hourLabel(most)} UTC.`;
  return barChart({
    id: 'provisions',
    title: 'Provisions an hour',
    summary,
    names: ['Succeeded', 'Failed (hatched)'],
    columns: hours.map((hour) => ({ label: hourLabel(hour), plain: hour.succeeded, hatched: hour.failed })),
  });
}

function durationChart({ hours, total }: Figures['provisions']): Html {
  const { medianSeconds: median, slowSeconds: slow } = total;
  const summary =
    median === null || slow === null
      ? 'No agent came up.'
      : `Median ${duration(median)} (solid), 95th percentile ${duration(slow)} (dashed).`;
  return lineChart({
    id: 'durations',
    title: 'From payment to running',
    summary,
    names: ['Median', '95th percentile'],
    columns: hours.map((hour) => ({
      label: hourLabel(hour),
      solid: hour.medianSeconds,
      dashed: hour.slowSeconds,
    })),
  });
}

function failureCard(failures: readonly FailureReason[]): Html {
  if (failures.length === 0)
    return card('failures', 'Failures by reason', html`<p class="muted">Nothing failed.</p>`);
  const most = Math.max(...failures.map(({ count }) => count));
  const bars = failures.map(({ kind, failedStep, error, count, last, agentId }) => ({
    words: html`<strong>${stepWords(kind)}${failedStep !== null && `, ${stepWords(failedStep).toLowerCase()}`}</strong>: ${firstLine(error)}
<span class="muted">last ${when(last.toISOString())}, <a href="/agents/${agentId}#operation">its log</a></span>`,
    figure: count,
    share: count / most,
  }));
  return card('failures', 'Failures by reason', barList(bars));
}

/** What is limited: the workers' slots, and the changes that the service makes by itself. */
function limitCard(breakers: readonly BreakerState[], { workers, slots, active }: Workforce): Html {
  const workerBar: Bar = {
    words:
      workers === 0
        ? 'Operations under way, and no worker runs'
        : `Operations under way, workers: ${workers}`,
    figure: workers === 0 ? active : `${active} of ${slots}`,
    share: slots === 0 ? 0 : active / slots,
    isFull: slots === 0,
  };
  return card('limits', 'Limits now', barList([workerBar, ...breakers.map(breakerBar)]));
}

function breakerBar({ name, title, used, allowed, trippedAt }: BreakerState): Bar {
  const format = (value: number) => (name === 'spend' ? `€${value.toFixed(2)}` : value.toLocaleString('en'));
  const now = used === null ? 'unknown: no prices yet' : format(used);
  return {
    words: html`${title}${trippedAt !== null && html` <strong>(holds changes back)</strong>`}`,
    figure: allowed === null ? `${now}, no limit` : `${now} of ${format(allowed)}`,
    share: allowed === null || used === null ? null : allowed === 0 ? 1 : used / allowed,
    isFull: trippedAt !== null,
  };
}
