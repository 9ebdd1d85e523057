import { type Html, html, type Renderable } from '../html.ts';

/** What every chart says besides its picture. */
export interface Chart {
  /** Unique on the page. */
  id: string;
  title: string;
  /** The picture in a sentence, shown below the title and read out in its place. */
  summary: string;
}

/** The size of a chart in its own units; the page scales it to its column. */
export const WIDTH = 560;
export const HEIGHT = 150;
/** What the axes take: numbers on the left, times below, room for a line's name on the right. */
export const PLOT = { left: 44, right: 8, top: 10, bottom: 24 };
const LABELS = 4;

/** Renders a chart with its title, its sentence, and its numbers as a table. */
export function figure({ id, title, summary }: Chart, picture: Renderable, numbers: Renderable): Html {
  return html`<figure class="chart" aria-labelledby="${id}-title">
<figcaption><strong id="${id}-title">${title}</strong><span class="muted">${summary}</span></figcaption>
${picture}
<details id="${id}-numbers"><summary>Numbers<span class="visually-hidden"> of ${title}</span></summary>${numbers}</details>
</figure>`;
}

/** Renders the numbers of a chart over time. */
export function numberTable(names: readonly string[], rows: readonly (readonly Renderable[])[]): Html {
  return html`<table class="keep"><thead><tr>${names.map((name) => html`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>${rows.map(
    ([first, ...others]) =>
      html`<tr><th scope="row">${first}</th>${others.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`,
  )}</tbody></table>`;
}

const COUNTS = [1, 2, 4, 6, 8, 10];
const SECONDS = [1, 2, 4, 6, 10, 20, 40, 60, 120, 240, 360, 600, 1200, 1800, 3600];

/** The round number at the top of an axis of counts; half of it is whole too. */
export function topCount(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return Math.max(2, COUNTS.find((step) => step * power >= most)! * power);
}

/** The round number at the top of an axis of seconds. */
export function topSeconds(most: number): number {
  return SECONDS.find((top) => top >= most) ?? Math.ceil(most / 7200) * 7200;
}

/** Places values between 0 and `top` and `count` columns on the plot. Units of the picture, rounded. */
export function scales(count: number, top: number) {
  const [width, height] = [WIDTH - PLOT.left - PLOT.right, HEIGHT - PLOT.top - PLOT.bottom];
  const step = width / count;
  return {
    step,
    /** The left edge of a column. */
    x: (index: number) => round(PLOT.left + index * step),
    middle: (index: number) => round(PLOT.left + (index + 0.5) * step),
    y: (value: number) => round(PLOT.top + height * (1 - value / top)),
  };
}

export const round = (units: number) => Math.round(units * 10) / 10;

/** Draws the lines of the value axis with their numbers, and the names below some of the columns. */
export function axes(labels: readonly string[], top: number, format: (value: number) => string): Html {
  const { y, middle } = scales(labels.length, top);
  const every = Math.ceil(labels.length / LABELS);
  return html`${[0, top / 2, top].map(
    (
      value,
    ) => html`<line class="grid" x1="${PLOT.left}" x2="${WIDTH - PLOT.right}" y1="${y(value)}" y2="${y(value)}"/>
<text x="${PLOT.left - 4}" y="${round(y(value) + 4)}" text-anchor="end">${format(value)}</text>`,
  )}${labels.map(
    (label, index) =>
      index % every === 0 &&
      html`<text x="${middle(index)}" y="${HEIGHT - 6}" text-anchor="${index === 0 ? 'start' : 'middle'}">${label}</text>`,
  )}`;
}

/** Renders the picture; it is described by its summary alone. */
export function picture({ summary }: Chart, drawing: Renderable): Html {
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${summary}">${drawing}</svg>`;
}
