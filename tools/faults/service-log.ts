import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Installation } from './installation.ts';

/** Reads and parses the log of all the service's processes. */
export function readServiceLog(installation: Installation): Record<string, unknown>[] {
  const text = readFileSync(join(installation.dataDir, 'logs', 'service.log'), 'utf8');
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      // A process was killed in the middle of a line.
      return [];
    }
  });
}
