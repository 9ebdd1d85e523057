import { closeSync, fsyncSync, linkSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseEnv } from 'node:util';

/** A line of an environment file: a variable with its value, or a comment. */
export type EnvironmentLine = readonly [name: string, value: string] | string;

/** What systemd, a shell and Node read alike without quotes. */
const PLAIN = /^[\w.,:/@%+=-]+$/;

/**
 * Formats an environment file that systemd's `EnvironmentFile`, `set -a; . FILE` and ENV_FILE read alike.
 * @throws Error for a value that no quotes carry: one with a line break, or with a single quote
 */
export function formatEnvironmentFile(lines: readonly EnvironmentLine[]): string {
  const formatted = lines.map((line) => {
    if (typeof line === 'string') return line === '' ? '' : `# ${line}`;
    const [name, value] = line;
    if (/[\r\n\0']/.test(value))
      throw new Error(`${name} cannot be written to a file: it has a quote or a line break`);
    return `${name}=${PLAIN.test(value) ? value : `'${value}'`}`;
  });
  return `${formatted.join('\n')}\n`;
}

/** Parses an environment file, as Node does. */
export function parseEnvironmentFile(text: string): Record<string, string> {
  return parseEnv(text) as Record<string, string>;
}

/**
 * Writes a file that only its owner can read, in one step: a crash leaves the old file, or none. With
 * `isNew` an existing file stays.
 * @throws Error with code EEXIST if there is one
 */
export function writePrivateFile(path: string, text: string, { isNew }: { isNew: boolean }): void {
  const draft = join(dirname(path), `.${basename(path)}.${process.pid}`);
  rmSync(draft, { force: true });
  const file = openSync(draft, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  try {
    if (isNew) linkSync(draft, path);
    else renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}
