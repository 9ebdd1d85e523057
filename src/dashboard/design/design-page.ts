import { AGENT_STATUSES } from '../../agents/states.ts';
import { type Html, html } from '../html.ts';
import { badge } from './badge.ts';
import { emptyState, needBanner } from './banner.ts';
import { barChart } from './bar-chart.ts';
import { barList, card } from './bar-list.ts';
import { copyable } from './copy.ts';
import { lineChart } from './line-chart.ts';
import { patterns, strip, stripAxis } from './strip.ts';
import { table } from './table.ts';
import { tiles } from './tiles.ts';
import { when } from './when.ts';

const SWATCHES = [
  ['text', 'Text'],
  ['muted-colour', 'Muted'],
  ['raised', 'Raised'],
  ['link', 'Link'],
  ['good', 'Good'],
  ['busy', 'Busy'],
  ['bad', 'Bad'],
] as const;

/** Renders `/design`: every token and every part that pages are made of, with made-up content. */
export function designPage(now = Date.now()): Html {
  return html`<h1>Design</h1>
<p class="muted">Everything the pages are made of. Tokens are in <code>tokens.css</code>, parts in <code>parts.css</code>.</p>
<h2>Colours</h2>
<ul class="swatches">${SWATCHES.map(
    ([name, text]) =>
      html`<li><svg aria-hidden="true"><rect class="${name}" width="100%" height="100%"/></svg>${text}</li>`,
  )}</ul>
<h2>Type</h2>
<h3>A heading of the third level</h3>
<p>Text that is read. <span class="muted">Text that accompanies it.</span> <code>code</code> <kbd>g</kbd> <a href="#type">A link</a></p>
<h2>States</h2>
<p>${[...AGENT_STATUSES, 'healthy', 'unhealthy', 'unknown'].map((state) => html`${badge(state)} `)}</p>
<h2>Buttons</h2>
<div class="actions"><button type="button">Plain</button><button type="button" class="primary">Primary</button>
<button type="button" class="danger">Destroy</button><button type="button" class="quiet">Quiet</button>
<a class="button" href="#buttons">A link</a></div>
<h2>Times</h2>
<p>${[-40, -500, -80_000, -2_000_000, 900].map((seconds, index) => html`${index > 0 && ' · '}${when(new Date(now + seconds * 1000).toISOString(), now)}`)}</p>
${banners()}
<h2>Counts</h2>
${tiles([
  { name: 'running', count: 9_412, href: '#counts' },
  { name: 'provisioning', count: 12, href: '#counts' },
  { name: 'failed', count: 3, href: '#counts' },
  { name: 'stopped', count: 0, href: '#counts' },
])}
<h2>Charts</h2>
${charts()}
<h2>Time to scale</h2>
${stripSample()}
<h2>Texts to copy</h2>
<p>${copyable('agent-ada', 'the made-up name')}</p>
<h2>Tables</h2>
${sampleTable()}
<h2>Empty lists</h2>
${emptyState('Nothing here', 'Why it is empty, and what comes next.', html`<a class="button primary" href="#empty">What to do</a>`)}`;
}

function banners(): Html {
  return html`<h2>Banners</h2>
<p class="notice"><strong>A notice.</strong> Something to know.</p>
${needBanner({
  id: 'sample',
  title: 'Hetzner’s limit is reached',
  cause: 'Hetzner refused to create a server: the project has as many as it may have.',
  cure: 'Ask Hetzner for a higher limit, then press Retry.',
  actions: html`<button type="button">Retry</button>`,
})}`;
}

function charts(): Html {
  const hours = Array.from({ length: 24 }, (_, hour) => hour);
  const label = (hour: number) => `${String(hour).padStart(2, '0')}:00`;
  return html`<div class="charts">
${barChart({
  id: 'sample-bars',
  title: 'Bars over time',
  summary: 'Plain and hatched, told apart without colour.',
  names: ['Succeeded', 'Failed'],
  columns: hours.map((hour) => ({
    label: label(hour),
    plain: (hour * 7) % 11,
    hatched: hour % 6 === 5 ? 2 : 0,
  })),
})}
${lineChart({
  id: 'sample-lines',
  title: 'Seconds over time',
  summary: 'Solid with dots, dashed with squares; nothing measured leaves a gap.',
  names: ['Median', '95 %'],
  columns: hours.map((hour) => ({
    label: label(hour),
    solid: hour === 9 ? null : 40 + ((hour * 13) % 17),
    dashed: hour === 9 ? null : 70 + ((hour * 29) % 41),
  })),
})}
${card(
  'sample-shares',
  'Shares of a limit',
  barList([
    { words: 'Agents created within an hour', figure: '12 of 60', share: 0.2 },
    { words: 'Agents destroyed within an hour', figure: '5 of 5', share: 1, isFull: true },
    { words: 'Without a limit', figure: '7', share: null },
  ]),
)}</div>`;
}

function stripSample(): Html {
  const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute));
  const tones = ['wait', 'busy', 'good', 'bad', 'off'] as const;
  const parts = tones.map((tone, index) => ({ tone, start: at(index * 10), end: at(index * 10 + 10) }));
  return html`${patterns()}<div class="strips"><span class="name">State</span>${strip(parts, { from: at(0), to: at(50) })}
<span class="name"></span>${stripAxis(['0 min', '25 min', '50 min'])}</div>
<p class="muted">Waiting, under way, good, bad, off: told apart by height and pattern.</p>`;
}

function sampleTable(): Html {
  const sorted = { href: '#tables', now: 'descending' as const };
  return table({
    caption: 'Made-up agents',
    columns: [
      { name: 'Agent', cell: (row: { id: string; state: string }) => html`<a href="#tables">${row.id}</a>` },
      { name: 'State', cell: ({ state }) => badge(state), sort: sorted },
      { name: 'Server', cell: () => html`<span class="number">192.0.2.7</span>` },
    ],
    rows: [
      { id: 'ada', state: 'running' },
      { id: 'grace', state: 'failed' },
    ],
  });
}
