import { printable } from '../processes/terminal-text.mjs';

/** Formats rows as text, each column as wide as its longest entry. */
export function table(header: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const lines = [header, ...rows].map((row) =>
    row.map((cell) => printable(cell ?? '-').replaceAll('\t', ' ')),
  );
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
