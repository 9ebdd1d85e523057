import { join } from 'node:path';
import { findAnsible } from './ansible.mjs';
import { cacheDirPath } from './cache-dir.mjs';
import { act } from './github-tools.mjs';
import { findMachines } from './machines/machines.mjs';
import { pulumiVersion } from './pulumi-version.mjs';
import { isProgram, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Adds the tools of earlier set-ups to the environment, where this command has not set them up itself.
 * Installs nothing.
 * @param {Context} context
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
export async function findTools(context) {
  const { root, env } = context;
  const cacheDir = context.cacheDir || findCacheDir(root, env);
  if (cacheDir === null) return env;
  env.CACHE_DIR = cacheDir;
  const program = (/** @type {string} */ folder, /** @type {string} */ name) => {
    const found = join(cacheDir, folder, 'bin', name);
    return isProgram(found) ? found : undefined;
  };
  env.AGENT_STACKS_PULUMI ||= program(`pulumi-${pulumiVersion}`, 'pulumi');
  env.AGENT_STACKS_ANSIBLE ||= findAnsible({ cacheDir }) ?? undefined;
  env.AGENT_STACKS_ACT ||= program(`${act.name}-${act.version}`, act.name);
  env.AGENT_STACKS_MACHINE_TOOLS ||= JSON.stringify(await findMachines({ ...context, cacheDir }));
  for (const name of Object.keys(env)) if (env[name] === undefined) delete env[name];
  return env;
}

/**
 * @param {string} root
 * @param {NodeJS.ProcessEnv} env
 */
function findCacheDir(root, env) {
  try {
    return cacheDirPath(root, env, process.platform);
  } catch (error) {
    if (error instanceof SetupError) return null;
    throw error;
  }
}
