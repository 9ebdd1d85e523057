import { type Html, html } from '../html.ts';
import { duration } from '../words.ts';
import { axes, type Chart, figure, numberTable, picture, round, scales, topSeconds } from './chart.ts';

export interface LineChart extends Chart {
  /** The solid line with dots, and the dashed one with squares. */
  names: readonly [solid: string, dashed: string];
  /** Seconds; null: nothing to measure, which leaves a gap. */
  columns: readonly { label: string; solid: number | null; dashed: number | null }[];
}

/** Renders seconds over time. The lines differ in dashes and marks, so that no colour is needed. */
export function lineChart(chart: LineChart): Html {
  const { columns, names } = chart;
  const [solid, dashed] = [columns.map((column) => column.solid), columns.map((column) => column.dashed)];
  const top = topSeconds(Math.max(0, ...[...solid, ...dashed].map((value) => value ?? 0)));
  const { middle, y } = scales(columns.length, top);
  /** Where nothing was measured, the line is interrupted. */
  const lines = (values: readonly (number | null)[], name: string) =>
    values.map((value, index) => {
      const next = values[index + 1];
      if (value === null || next === null || next === undefined) return undefined;
      return html`<line class="${name}" x1="${middle(index)}" y1="${y(value)}" x2="${middle(index + 1)}" y2="${y(next)}"/>`;
    });
  const points = (values: readonly (number | null)[]) =>
    values.flatMap((value, index) => (value === null ? [] : [[middle(index), y(value)] as const]));
  const drawing = html`${axes(
    columns.map(({ label }) => label),
    top,
    shortSeconds,
  )}${lines(dashed, 'line other')}${lines(solid, 'line')}${points(dashed).map(
    ([x, at]) =>
      html`<rect class="mark other" x="${round(x - 2.5)}" y="${round(at - 2.5)}" width="5" height="5"/>`,
  )}${points(solid).map(([x, at]) => html`<circle class="mark" cx="${x}" cy="${at}" r="2.5"/>`)}`;
  return figure(
    chart,
    picture(chart, drawing),
    numberTable(
      ['', ...names],
      columns.map((column) => [column.label, words(column.solid), words(column.dashed)]),
    ),
  );
}

const words = (seconds: number | null) => (seconds === null ? '–' : duration(seconds));

/** Seconds in the little room beside an axis: `40 s`, `5 m`. */
function shortSeconds(seconds: number): string {
  if (seconds >= 120) return `${round(seconds / 60)} m`;
  return `${round(seconds)} s`;
}
