import { existsSync } from 'node:fs';
import { findProgram, lastLines } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/** Programs that machines need on this host, with their Debian packages. */
const programs = {
  'systemd-nspawn': 'systemd-container',
  debootstrap: 'debootstrap',
  ip: 'iproute2',
  nft: 'nftables',
  mount: 'mount',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  setpriv: 'util-linux',
};

/** The keys that Debian signs with. Other distributions lack them but have the package. */
export const debianKeyring = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Returns the Debian packages that this host lacks to set up machines.
 * @param {NodeJS.ProcessEnv} env
 * @param {(path: string) => boolean} exists
 * @returns {string[]}
 */
export function missingForPreparing(env, exists = existsSync) {
  const keys = exists(debianKeyring) ? [] : ['debian-archive-keyring'];
  return [...missingPackages(env), ...keys];
}

/**
 * Returns the Debian packages that this host lacks to use machines that are set up.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]}
 */
export function missingPackages(env) {
  const missing = Object.entries(programs).filter(([name]) => findProgram(name, env) === null);
  return [...new Set(missing.map(([, packageName]) => packageName))];
}

/**
 * Installs missing packages if apt-get exists.
 * @param {Context} context
 * @param {(path: string) => boolean} exists
 * @returns {Promise<string[]>} what is still missing
 */
export async function installPackages(context, exists = existsSync) {
  const { env, progress, run, signal } = context;
  const missing = missingForPreparing(env, exists);
  if (missing.length === 0 || findProgram('apt-get', env) === null) return missing;
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal };
  const complaint = await progress.step(
    `Installing ${missing.join(', ')}`,
    'for real machines',
    async (step) => {
      // Waits for another run of apt-get.
      const aptGet = (/** @type {string[]} */ ...words) =>
        run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...words], options);
      step.note('apt-get update');
      // A failing package list, perhaps a third party's, is no reason to give up.
      await aptGet('update');
      step.note('apt-get install');
      const { code, output } = await aptGet('install', '-y', '--no-install-recommends', ...missing);
      if (code === 0) return null;
      step.outcome('not possible here');
      return output;
    },
  );
  if (complaint !== null) progress.say(lastLines(complaint));
  return missingForPreparing(env, exists);
}
