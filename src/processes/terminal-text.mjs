// Keeps control sequences in foreign text away from the terminal. Everything that this project prints goes
// through `say` or `complain`, which test/architecture.test.ts enforces. Plain JavaScript, because the setup
// uses it before Node 24 is installed.

import { styleText } from 'node:util';

/** Control characters (C0, DEL, C1) except the tab, line separators, and marks that change text direction. */
const UNSAFE = /(?!\t)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Returns the text as one line without anything that a terminal would interpret. Unsafe characters, line
 * breaks included, are escaped as in JSON (`\u001b`), so JSON keeps its meaning.
 * @param {string} text
 */
export function printable(text) {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * Like `printable`, but keeps line breaks. All lines except the first begin with `indent`, so that no line of
 * the text can pass for one of ours.
 * @param {string} text
 */
export function printableLines(text, indent = '') {
  return text.split(/\r?\n/).map(printable).join(`\n${indent}`);
}

/**
 * Prints to standard output.
 * @param {string} text
 */
export function say(text) {
  console.log(printableLines(text));
}

/**
 * Prints what a shell reads and no person: NUL, which separates the fields of a completion, stays as it is.
 * @param {string} text
 */
export function sayToShell(text) {
  console.log(
    text
      .split('\0')
      .map((part) => printableLines(part))
      .join('\0'),
  );
}

/**
 * A piece of a line: foreign text, with the format in which it is printed where the terminal shows any.
 * @typedef {string | { text: string, format: 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold' }} Piece
 */

/**
 * Prints lines in colour where standard output is a terminal that shows it: NO_COLOR and FORCE_COLOR decide
 * otherwise.
 * @param {readonly (readonly Piece[])[]} lines
 */
export function sayStyled(lines) {
  console.log(styled(lines));
}

/** Clears the rest of the line. */
const END_OF_LINE = '\u001b[K';

/**
 * Prints these lines at the terminal's top in place of what is there. Each is written over the one before it,
 * because a terminal that is cleared first flickers.
 * @param {readonly (readonly Piece[])[]} lines
 */
export function redraw(lines) {
  const text = styled(lines).replaceAll('\n', `${END_OF_LINE}\n`);
  console.log(`\u001b[H${text}${END_OF_LINE}\u001b[J`);
}

/** @param {readonly (readonly Piece[])[]} lines */
function styled(lines) {
  return lines
    .map((line) =>
      line
        .map((piece) =>
          typeof piece === 'string'
            ? printable(piece)
            : styleText(piece.format, printable(piece.text), { stream: process.stdout }),
        )
        .join(''),
    )
    .join('\n');
}

/**
 * Prints to standard error.
 * @param {string} text
 */
export function complain(text) {
  console.error(printableLines(text));
}

/**
 * Prints an uncaught error with its stack, which Node itself would print without escaping.
 * @param {unknown} error
 */
export function complainOfUnexpected(error) {
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
