import { type Html, html, type Renderable } from '../html.ts';

export interface Column<Row> {
  name: string;
  cell: (row: Row) => Renderable;
  /** Where the heading leads, which sorts by it, and how the list is sorted by it now. */
  sort?: { href: string; now: 'ascending' | 'descending' | undefined };
}

export interface Table<Row> {
  /** Read out by screen readers; not shown. */
  caption: string;
  /** The first one names the row. */
  columns: readonly [Column<Row>, ...Column<Row>[]];
  rows: readonly Row[];
  /** A cell before the first column, such as a box to tick. */
  before?: { heading: Renderable; cell: (row: Row) => Renderable } | undefined;
}

/** Renders a table; on a phone each row becomes a block whose cells name their columns. */
export function table<Row>({ caption, columns, rows, before }: Table<Row>): Html {
  const [first, ...others] = columns;
  return html`<table>
<caption class="visually-hidden">${caption}</caption>
<thead><tr>${before && html`<td class="pick">${before.heading}</td>`}${columns.map(heading)}</tr></thead>
<tbody>${rows.map(
    (
      row,
    ) => html`<tr>${before && html`<td class="pick">${before.cell(row)}</td>`}<th scope="row">${first.cell(row)}</th>
${others.map(({ name, cell }) => html`<td data-label="${name}">${cell(row)}</td>`)}</tr>
`,
  )}</tbody>
</table>`;
}

const ARROWS = { ascending: '↑', descending: '↓' };

function heading({ name, sort }: Pick<Column<never>, 'name' | 'sort'>): Html {
  if (sort === undefined) return html`<th scope="col">${name}</th>`;
  const { href, now } = sort;
  return html`<th scope="col"${now !== undefined && html` aria-sort="${now}"`}><a href="${href}">${name}</a>${
    now !== undefined && html` <span aria-hidden="true">${ARROWS[now]}</span>`
  }</th>`;
}
