import type { AgentChange } from '../../agents/changes.ts';
import type { AgentStatus, Health } from '../../agents/states.ts';
import { badge } from '../design/badge.ts';
import { type Scale, type StripPart, type StripTone, strip, stripAxis } from '../design/strip.ts';
import { exactTime, when } from '../design/when.ts';
import { type Html, html } from '../html.ts';
import { capitalized, span } from '../words.ts';

const STATUS_TONES: Record<AgentStatus, StripTone> = {
  requested: 'wait',
  provisioning: 'busy',
  running: 'good',
  stopping: 'busy',
  stopped: 'off',
  suspended: 'off',
  hibernated: 'off',
  failed: 'bad',
  destroying: 'busy',
  destroyed: 'off',
};
const HEALTH_TONES: Record<Health, StripTone> = { healthy: 'good', unhealthy: 'bad', unknown: 'off' };
/** The newest in the table; the strips show more. */
const ROWS_SHOWN = 30;

interface Stretch {
  name: string;
  start: Date;
  end: Date;
}

/** Renders the agent's state and health over time, to scale, and the changes as a table. */
export function statesSection(changes: readonly AgentChange[], now = new Date()): Html {
  const [first, second] = changes;
  if (first === undefined || second === undefined)
    return html`<h2>State over time</h2><p class="muted">Nothing has changed yet. The first change of its state or health is shown here.</p>`;
  const last = changes.at(-1)!;
  const end = last.status === 'destroyed' ? last.at : now;
  const scale = { from: first.at, to: end };
  const states = toStretches(changes, 'status', end);
  const healths = toStretches(changes, 'health', end).filter(({ name }) => name !== 'unknown');
  const middle = new Date((scale.from.getTime() + scale.to.getTime()) / 2);
  return html`<h2>State over time</h2>
<div class="strips"><span class="name">State</span>${strip(toParts(states, STATUS_TONES), scale)}
<span class="name">Health</span>${strip(toParts(healths, HEALTH_TONES), scale)}
<span class="name"></span>${stripAxis([moment(scale.from, scale), moment(middle, scale), last.status === 'destroyed' ? moment(end, scale) : 'now'])}</div>
<p class="muted legend">${totals(states, STATUS_TONES)}${healths.length > 0 && html` · ${totals(healths, HEALTH_TONES)}`}</p>
<details id="changes"><summary>Every change<span class="visually-hidden"> of its state and health</span></summary>${changesTable(changes)}</details>`;
}

function toStretches(changes: readonly AgentChange[], of: 'status' | 'health', end: Date): Stretch[] {
  const stretches: Stretch[] = [];
  for (const change of changes) {
    const last = stretches.at(-1);
    if (last?.name === change[of]) continue;
    if (last !== undefined) last.end = change.at;
    stretches.push({ name: change[of], start: change.at, end });
  }
  return stretches;
}

const toParts = <Name extends string>(
  stretches: readonly Stretch[],
  tones: Record<Name, StripTone>,
): StripPart[] =>
  stretches.map(({ name, start, end }) => ({ start, end, tone: tones[name as Name] ?? 'off' }));

/** How long it was in each state, the longest first. */
function totals<Name extends string>(stretches: readonly Stretch[], tones: Record<Name, StripTone>): Html[] {
  const seconds = new Map<string, number>();
  for (const { name, start, end } of stretches)
    seconds.set(name, (seconds.get(name) ?? 0) + (end.getTime() - start.getTime()) / 1000);
  return [...seconds]
    .filter(([name]) => name !== 'destroyed')
    .sort(([, a], [, b]) => b - a)
    .map(
      ([name, total], index) =>
        html`${index > 0 && ', '}<span class="key ${tones[name as Name] ?? 'off'}"></span>${capitalized(name)} ${span(total)}`,
    );
}

function changesTable(changes: readonly AgentChange[]): Html {
  const newest = changes.slice(-ROWS_SHOWN).reverse();
  return html`<table class="keep"><caption class="visually-hidden">Changes of its state and health, newest first</caption>
<thead><tr><th scope="col">When</th><th scope="col">State</th><th scope="col">Health</th></tr></thead>
<tbody>${newest.map(
    ({ at, status, health }) =>
      html`<tr><th scope="row">${when(at.toISOString())}</th><td>${badge(status)}</td><td>${badge(health)}</td></tr>`,
  )}</tbody></table>
${changes.length > ROWS_SHOWN && html`<p class="muted">And ${changes.length - ROWS_SHOWN} before.</p>`}`;
}

const HOUR_MS = 3_600_000;

/** `2026-11-30 06:04`, or with seconds on a strip shorter than an hour `06:04:56`. */
function moment(time: Date, { from, to }: Scale): string {
  const text = exactTime(time.toISOString());
  return to.getTime() - from.getTime() < HOUR_MS ? text.slice(11, 19) : text.slice(0, 16);
}
