import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isProgram, SetupError } from '../run.mjs';
import { basePath, ensureBase, isBaseComplete } from './base.mjs';
import { ensureHeadscale } from './headscale.mjs';
import { installPackages, missingPackages } from './host-packages.mjs';
import { ensureTailscale } from './tailscale.mjs';
import { hostProblem } from './usable.mjs';
import { headscaleVersion, tailscaleVersion } from './versions.mjs';

/**
 * Where everything is that real machines need, or what of it is missing, each in half a sentence.
 * @typedef {{ base: string, headscale: string, tailscale: string, tailscaled: string } | { missing: string[] }} Machines
 * @typedef {import('../set-up.mjs').Context} Context
 */

/**
 * Prepares real machines on this host: once per user and version.
 * @param {Context} given
 * @returns {Promise<Machines>} what is missing, where this host cannot have them
 */
export async function ensureMachines(given) {
  const context = withSystemPrograms(given);
  const isRoot = process.getuid?.() === 0;
  if (process.platform === 'linux' && isRoot) await installPackages(context);
  const problems = await problemsOf(context);
  if (problems.length > 0) return { missing: problems };
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
 * What was prepared before, without preparing anything.
 * @param {Context} given
 * @returns {Promise<Machines>}
 */
export async function findMachines(given) {
  const context = withSystemPrograms(given);
  const inCache = (/** @type {string[]} */ ...path) => join(context.cacheDir, ...path);
  const programs = {
    headscale: inCache(`headscale-${headscaleVersion}`, 'bin', 'headscale'),
    tailscale: inCache(`tailscale-${tailscaleVersion}`, 'bin', 'tailscale'),
    tailscaled: inCache(`tailscale-${tailscaleVersion}`, 'bin', 'tailscaled'),
  };
  const base = basePath(context.cacheDir);
  const isPrepared = isBaseComplete(base) && Object.values(programs).every((path) => isProgram(path));
  // The trial costs a moment: a host that has prepared nothing is not asked.
  if (!isPrepared && existsSync(context.cacheDir))
    return { missing: ['they have not been prepared on this machine'] };
  const problems = await problemsOf(context);
  return problems.length > 0 ? { missing: problems } : { base: join(base, 'root'), ...programs };
}

/**
 * @param {Context} context
 * @returns {Promise<string[]>}
 */
async function problemsOf(context) {
  const missing = process.platform === 'linux' ? missingPackages(context.env) : [];
  if (missing.length > 0) return [`Debian packages are missing: ${missing.join(', ')}`];
  const problem = await hostProblem(context);
  return problem === null ? [] : [problem];
}

/**
 * Administrators' programs are not on everybody's PATH.
 * @param {Context} context
 * @returns {Context}
 */
function withSystemPrograms(context) {
  const path = [context.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].filter(Boolean).join(delimiter);
  return { ...context, env: { ...context.env, PATH: path } };
}
