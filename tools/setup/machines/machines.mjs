import { delimiter, join } from 'node:path';
import { isProgram, SetupError } from '../run.mjs';
import { basePath, ensureBase, isBaseComplete } from './base.mjs';
import { ensureHeadscale } from './headscale.mjs';
import { installPackages, missingPackages } from './host-packages.mjs';
import { ensureTailscale } from './tailscale.mjs';
import { hostProblem, trialProblem } from './usable.mjs';
import { headscaleVersion, tailscaleVersion } from './versions.mjs';

/**
 * The paths of everything that real machines need, or a list of what is missing.
 * @typedef {{ base: string, headscale: string, tailscale: string, tailscaled: string }
 *   | { missing: string[] }} Machines
 * @typedef {import('../set-up.mjs').Context} Context
 */

/**
 * Sets up real machines on this host, once per user and version.
 * @param {Context} given
 * @returns {Promise<Machines>} what is missing if this host cannot have them
 */
export async function ensureMachines(given) {
  const context = withSystemPrograms(given);
  const problem = hostProblem() ?? (await packagesProblem(context)) ?? (await trialProblem(context));
  if (problem !== null) return { missing: [problem] };
  try {
    const tailscale = await ensureTailscale(context);
    const headscale = await ensureHeadscale(context);
    return { base: await ensureBase(context, tailscale), headscale, ...tailscale };
  } catch (error) {
    if (error instanceof SetupError) return { missing: [error.message] };
    throw error;
  }
}

/**
 * @param {Context} context
 * @returns {Promise<string | null>}
 */
async function packagesProblem(context) {
  const missing = await installPackages(context);
  return missing.length === 0 ? null : `Debian packages are missing: ${missing.join(', ')}`;
}

/**
 * Finds an earlier set-up without preparing anything.
 * @param {Context} given
 * @returns {Promise<Machines>}
 */
export async function findMachines(given) {
  const context = withSystemPrograms(given);
  const problem = hostProblem();
  if (problem !== null) return { missing: [problem] };
  const program = (/** @type {string} */ folder, /** @type {string} */ name) =>
    join(context.cacheDir, folder, 'bin', name);
  const programs = {
    headscale: program(`headscale-${headscaleVersion}`, 'headscale'),
    tailscale: program(`tailscale-${tailscaleVersion}`, 'tailscale'),
    tailscaled: program(`tailscale-${tailscaleVersion}`, 'tailscaled'),
  };
  const base = basePath(context.cacheDir);
  const isPrepared = isBaseComplete(base) && Object.values(programs).every((path) => isProgram(path));
  if (!isPrepared || missingPackages(context.env).length > 0)
    return { missing: ['they are not set up on this machine'] };
  const refusal = await trialProblem(context);
  return refusal === null ? { base: join(base, 'root'), ...programs } : { missing: [refusal] };
}

/**
 * Adds the administrators' programs, which are not on every user's PATH.
 * @param {Context} context
 * @returns {Context}
 */
function withSystemPrograms(context) {
  const path = [context.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean).join(delimiter);
  return { ...context, env: { ...context.env, PATH: path } };
}
