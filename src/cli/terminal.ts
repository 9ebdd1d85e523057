import { type ApiClient, answer } from '../../client/client.ts';
import type { Environment } from '../config/environment-reader.ts';
import type { Connection } from './connection.ts';
import { type Cell, type Column, type Line, plain, tableLines } from './table.ts';

/** What the commands need from their caller. */
export interface Terminal {
  api: ApiClient;
  /** For the few commands that need what the service itself needs. */
  environment: Environment;
  /** Where the service is. */
  connect(): Promise<Connection>;
  print(line: string): void;
  /** Prints lines with colours; undefined where there are none. */
  printStyled?: ((lines: readonly Line[]) => void) | undefined;
  /** Prints at the terminal's top, over what is there; undefined if the output is no terminal. */
  redraw?: ((lines: readonly Line[]) => void) | undefined;
  /** The terminal's width in characters now; undefined if the output is none. */
  readonly width?: number | undefined;
  /** How many lines the terminal has now; undefined if the output is none. */
  readonly height?: number | undefined;
  /** Asks a person to confirm; undefined without an interactive terminal. */
  confirm: ((question: string) => Promise<boolean>) | undefined;
  /** A signal that Ctrl-C aborts, instead of ending the process; for what a person ends so. */
  untilInterrupted(): AbortSignal;
}

export { answer };

/** Prints a table, as wide as the terminal. */
export function printTable(
  terminal: Pick<Terminal, 'print' | 'printStyled' | 'width'>,
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
): void {
  printLines(terminal, tableLines(columns, rows, terminal.width));
}

export function printLines(
  { print, printStyled }: Pick<Terminal, 'print' | 'printStyled'>,
  lines: readonly Line[],
): void {
  if (printStyled === undefined) print(lines.map(plain).join('\n'));
  else printStyled(lines);
}

export function printJson({ print }: Pick<Terminal, 'print'>, value: unknown): true {
  print(JSON.stringify(value, null, 2));
  return true;
}
