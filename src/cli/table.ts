import { type Piece, printable } from '../processes/terminal-text.mjs';

export type Cell = string | null;

/** A column by its heading; `droppable` ones are left out of a narrow terminal, the highest first. */
export type Column = string | { name: string; droppable: number };

/** A line of text in pieces, some of them with a format. */
export type Line = readonly Piece[];

const GAP = 2;
/** A column is cut no further than this. */
const NARROWEST = 8;

/**
 * Formats rows as lines, each column as wide as its longest entry. Within `width` characters: columns are
 * dropped as they allow it, then the widest are cut. Without a width, as in a pipe, everything is there.
 */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width?: number | undefined,
): Line[] {
  const kept = fitColumns(columns, rows, width);
  const names = columns.map(nameOf);
  const line = (row: readonly Cell[], isHeading: boolean): Line =>
    kept.map(({ index, width: columnWidth }, place) => {
      const text = cut(toText(row[index] ?? null), columnWidth);
      const padded = place === kept.length - 1 ? text : text.padEnd(columnWidth + GAP);
      const format = isHeading ? 'bold' : formatOf(names[index]!, text);
      return format === undefined ? padded : { text: padded, format };
    });
  return [line(names, true), ...rows.map((row) => line(row, false))];
}

/** The same as plain text. */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[]): string {
  return tableLines(columns, rows).map(plain).join('\n');
}

export function plain(line: Line): string {
  return line
    .map((piece) => (typeof piece === 'string' ? piece : piece.text))
    .join('')
    .trimEnd();
}

const nameOf = (column: Column) => (typeof column === 'string' ? column : column.name);
const toText = (cell: Cell) => printable(cell ?? '-').replaceAll('\t', ' ');
const cut = (text: string, width: number) => (text.length <= width ? text : `${text.slice(0, width - 1)}…`);

interface Kept {
  index: number;
  width: number;
}

function fitColumns(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  width = Infinity,
): Kept[] {
  const all = columns.map((column, index) => ({
    index,
    width: Math.max(nameOf(column).length, ...rows.map((row) => toText(row[index] ?? null).length)),
    droppable: typeof column === 'string' ? 0 : column.droppable,
  }));
  let kept = all;
  for (const { index } of all.filter((one) => one.droppable > 0).sort((a, b) => b.droppable - a.droppable))
    if (total(kept) > width) kept = kept.filter((one) => one.index !== index);
  const widths = kept.map(({ index, width: own }) => ({ index, width: own }));
  while (total(widths) > width) {
    const widest = widths.reduce((a, b) => (b.width > a.width ? b : a));
    if (widest.width <= NARROWEST) break;
    widest.width -= 1;
  }
  return widths;
}

const total = (kept: readonly Kept[]) =>
  kept.reduce((sum, { width }) => sum + width, 0) + GAP * Math.max(0, kept.length - 1);

const FORMATS: Record<string, Exclude<Piece, string>['format']> = {
  running: 'green',
  healthy: 'green',
  succeeded: 'green',
  closed: 'green',
  failed: 'red',
  unhealthy: 'red',
  tripped: 'red',
  provisioning: 'yellow',
  requested: 'yellow',
  stopping: 'yellow',
  destroying: 'yellow',
  queued: 'yellow',
  active: 'yellow',
  suspended: 'yellow',
  destroyed: 'dim',
  cancelled: 'dim',
};

/** States have colours, which say nothing that the word does not. */
const formatOf = (column: string, text: string) =>
  ['STATUS', 'HEALTH', 'STATE'].includes(column) ? FORMATS[text] : undefined;
