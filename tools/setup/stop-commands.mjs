import { randomBytes } from 'node:crypto';
import { writeSync } from 'node:fs';

/**
 * On a GitHub runner an output line can be a command (`::add-mask::…`, `##[…]`). This process and its
 * children print text from machines and registries, so the runner is told to ignore commands until the
 * process ends. The token that ends this is random and appears only in the runner's own log, so foreign text
 * cannot contain it.
 * @param {NodeJS.ProcessEnv} env
 * @param {(text: string) => unknown} [write]
 */
export function stopWorkflowCommands(env, write = (text) => writeSync(1, text)) {
  if (env.GITHUB_ACTIONS !== 'true') return;
  const token = randomBytes(24).toString('hex');
  write(`::stop-commands::${token}\n`);
  process.on('exit', () => write(`\n::${token}::\n`));
}
