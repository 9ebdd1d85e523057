import { printable, printableLines } from '../../src/processes/terminal-text.mjs';
import { Interrupted } from './run.mjs';

/**
 * Shows what is being done, why, and for how long: in place on a terminal, otherwise in plain lines.
 * `note` adds the progress; `outcome` replaces the final `ok`.
 * @typedef {{ note(detail: string): void, outcome(word: string): void }} Step
 * @typedef {{
 *   step<T>(title: string, why: string, work: (step: Step) => Promise<T>): Promise<T>,
 *   say(line: string): void,
 * }} Progress
 */

/** How often a heartbeat is printed when not on a terminal; a terminal shows the seconds count up. */
const plainIntervalMs = 10_000;
const quietMs = 2_000;

/**
 * @param {{ isTTY?: boolean | undefined, columns?: number | undefined, write(text: string): unknown }} stream
 * @param {{ now: () => number }} clock
 * @returns {Progress}
 */
export function createProgress(stream = process.stderr, clock = { now: Date.now }) {
  const print = stream.isTTY ? terminalLine : plainLines;
  return {
    say: (line) => void stream.write(`${printableLines(line)}\n`),
    async step(title, why, work) {
      const startedAt = clock.now();
      const line = print(stream, printable(`${title} (${why})`), () => clock.now() - startedAt);
      try {
        let outcome = 'ok';
        const result = await work({
          note: line.note,
          outcome: (word) => {
            outcome = word;
          },
        });
        line.end(`${printable(outcome)} ${seconds(clock.now() - startedAt)}`);
        return result;
      } catch (error) {
        line.end(
          `${error instanceof Interrupted ? 'interrupted' : 'failed'} after ${seconds(clock.now() - startedAt)}`,
        );
        throw error;
      }
    },
  };
}

/** @param {number} ms */
export function seconds(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.floor((ms % 60_000) / 1000)} s`;
}

/**
 * @param {{ columns?: number | undefined, write(text: string): unknown }} stream
 * @param {string} title
 * @param {() => number} elapsedMs
 */
function terminalLine(stream, title, elapsedMs) {
  let detail = '';
  const draw = (/** @type {string} */ rest) => {
    const text = `${title} ${rest}`;
    const width = (stream.columns || 80) - 1;
    // A wrapped line could not be redrawn in place, so its beginning is cut.
    const shown =
      text.length > width ? `${title.slice(0, Math.max(0, width - rest.length - 2))}… ${rest}` : text;
    stream.write(`\r\x1b[K${shown}`);
  };
  const tick = () => {
    const time = elapsedMs() >= quietMs ? seconds(elapsedMs()).replace(/\.\d s/, ' s') : '';
    draw([detail, time].filter(Boolean).join(', '));
  };
  tick();
  const timer = setInterval(tick, 1000);
  return {
    note: (/** @type {string} */ text) => {
      detail = printable(text.slice(0, 40));
    },
    end: (/** @type {string} */ result) => {
      clearInterval(timer);
      draw(result);
      stream.write('\n');
    },
  };
}

/**
 * @param {{ write(text: string): unknown }} stream
 * @param {string} title
 * @param {() => number} elapsedMs
 */
function plainLines(stream, title, elapsedMs) {
  let detail = '';
  stream.write(`${title}\n`);
  const timer = setInterval(() => {
    stream.write(`  ${[seconds(elapsedMs()), detail].filter(Boolean).join(', ')}\n`);
  }, plainIntervalMs);
  return {
    note: (/** @type {string} */ text) => {
      detail = printable(text);
    },
    end: (/** @type {string} */ result) => {
      clearInterval(timer);
      stream.write(`  ${result}\n`);
    },
  };
}
