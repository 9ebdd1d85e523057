import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Progress } from '../../tools/setup/progress.mjs';
import type { Run } from '../../tools/setup/run.mjs';
import { root } from '../../tools/setup/set-up.mjs';

/**
 * Creates the context of a set-up step, with a temporary folder (whose name contains a space), and its
 * recorded output.
 */
export async function createContext(run: Run, env: NodeJS.ProcessEnv = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'set up '));
  onTestFinished(() => rm(folder, { recursive: true }));
  const said: string[] = [];
  const progress: Progress = {
    say: (line) => said.push(line),
    step: (title, _why, work) => {
      said.push(title);
      return work({ note: () => {}, outcome: (word) => said.push(word) });
    },
  };
  return { root, cacheDir: folder, env, progress, run, said };
}
