import { type Html, html } from '../html.ts';
import { axes, type Chart, figure, numberTable, picture, round, scales, topCount } from './chart.ts';

export interface BarChart extends Chart {
  /** What the plain part of a bar counts, and what the hatched part on top of it does. */
  names: readonly [plain: string, hatched: string];
  columns: readonly { label: string; plain: number; hatched: number }[];
}

/** Renders counts over time. The second series is hatched, so that it differs without colour. */
export function barChart(chart: BarChart): Html {
  const { id, names, columns } = chart;
  const top = topCount(Math.max(0, ...columns.map(({ plain, hatched }) => plain + hatched)));
  const { x, y, step } = scales(columns.length, top);
  const width = round(Math.max(1, step - 2));
  const bars = columns.map(({ plain, hatched }, index) => {
    const [middle, head] = [y(plain), y(plain + hatched)];
    return html`${plain > 0 && html`<rect class="bar" x="${x(index)}" y="${middle}" width="${width}" height="${round(y(0) - middle)}"/>`}${
      hatched > 0 &&
      html`<rect class="rest" fill="url(#${id}-hatch)" x="${x(index)}" y="${head}" width="${width}" height="${round(middle - head)}"/>`
    }`;
  });
  const hatch = html`<defs><pattern id="${id}-hatch" width="4" height="4" patternUnits="userSpaceOnUse"
 patternTransform="rotate(45)"><line class="hatch" x1="0" y1="0" x2="0" y2="4"/></pattern></defs>`;
  const labels = columns.map(({ label }) => label);
  return figure(
    chart,
    picture(chart, html`${hatch}${axes(labels, top, String)}${bars}`),
    numberTable(
      ['', ...names],
      columns.map(({ label, plain, hatched }) => [label, plain, hatched]),
    ),
  );
}
