import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { SetupError } from './run.mjs';

/**
 * Adds the variables of the file that ENV_FILE names, such as the one that `agents init` writes. What is set
 * already stays; an empty variable counts as unset.
 * @param {NodeJS.ProcessEnv} env
 */
export function addEnvironmentFile(env) {
  const path = env.ENV_FILE;
  if (!path) return;
  if (parseEnv === undefined) throw new SetupError('ENV_FILE needs Node 20.12 or newer.');
  let text;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SetupError(`ENV_FILE: ${/** @type {Error} */ (error).message}`);
  }
  for (const [name, value] of Object.entries(parseEnv(text))) env[name] ||= value;
}
