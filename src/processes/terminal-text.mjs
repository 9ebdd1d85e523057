// What comes from outside and what a terminal obeys must not meet. Everything that this project prints goes through `say` or
// `complain`; test/architecture.test.ts holds that. Plain JavaScript, because the set-up uses it before there is a Node 24.

/** Control characters (C0, DEL, C1) but the tab, line separators, and what turns the direction of writing. */
const UNSAFE = /(?!\t)[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/**
 * A text in one line that a terminal shows as it is and obeys in nothing: what is unsafe, line ends included, is written as in JSON
 * (`\u001b`), so that JSON stays the same JSON.
 * @param {string} text
 */
export function printable(text) {
  return text.replace(UNSAFE, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * As `printable`, but a text of several lines keeps them. `indent` stands before all but the first: with it no line of the text can
 * pass for one of ours.
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
 * Prints to standard error.
 * @param {string} text
 */
export function complain(text) {
  console.error(printableLines(text));
}

/**
 * For the last place that an error can reach: with its stack, which Node itself would print as it comes.
 * @param {unknown} error
 */
export function complainOfUnexpected(error) {
  complain(error instanceof Error ? (error.stack ?? error.message) : String(error));
}
