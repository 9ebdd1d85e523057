import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';

/**
 * On a GitHub runner a line of output can be a command (`::add-mask::…`, `##[…]`). What this process and its children print quotes
 * machines and registries, so the runner is told to obey nothing until the process ends. Nobody who could make us print the token
 * that ends it can know it: it is another one each time, and only in the runner's own log.
 * @param {NodeJS.ProcessEnv} env
 * @param {(text: string) => unknown} [write]
 */
export function stopWorkflowCommands(env, write = (text) => writeSync(1, text)) {
  if (env.GITHUB_ACTIONS !== 'true') return;
  const token = randomBytes(24).toString('hex');
  write(`::stop-commands::${token}\n`);
  process.on('exit', () => write(`\n::${token}::\n`));
}
