import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** Messages that act repeats in every run: it looks for a git repository, and for the actions' stand-ins. */
const NOISE =
  /not located inside a git repository|unable to get git (?:ref|revision)|LocalRepositoryCache|docker connection/;

export interface RunLog {
  write(line: string): void;
  close(): void;
}

/** Opens the log of one run, readable only by its owner. The repository's secrets are masked. */
export function openRunLog(dir: string, runId: string, secrets: string[]): RunLog {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = openSync(join(dir, `${runId}.log`), 'a', 0o600);
  const masked = secrets.filter((secret) => secret !== '').sort((one, other) => other.length - one.length);
  let closed = false;
  return {
    write: (line) => {
      if (closed || NOISE.test(line)) return;
      const text = masked.reduce((rest, secret) => rest.replaceAll(secret, '***'), line);
      writeSync(file, `${new Date().toISOString()} ${text}\n`);
    },
    close: () => {
      closed = true;
      closeSync(file);
    },
  };
}
