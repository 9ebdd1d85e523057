import { findProgram, lastLines } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/** What machines are made of on this host, and the Debian package that has it. */
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

/**
 * The Debian packages that are missing on this host.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]}
 */
export function missingPackages(env) {
  const missing = Object.entries(programs).filter(([name]) => findProgram(name, env) === null);
  return [...new Set(missing.map(([, packageName]) => packageName))];
}

/**
 * Installs what is missing, where apt-get is.
 * @param {Context} context
 * @returns {Promise<string[]>} what is missing still
 */
export async function installPackages(context) {
  const { env, progress, run, signal } = context;
  const missing = missingPackages(env);
  if (missing.length === 0 || findProgram('apt-get', env) === null) return missing;
  const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal };
  const complaint = await progress.step(
    `Installing ${missing.join(', ')}`,
    'for real machines',
    async (step) => {
      for (const words of [['update'], ['install', '-y', '--no-install-recommends', ...missing]]) {
        step.note(`apt-get ${words[0]}`);
        // Another run of apt-get is waited for.
        const { code, output } = await run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...words], options);
        if (code === 0) continue;
        step.outcome('not possible here');
        return output;
      }
      return null;
    },
  );
  if (complaint !== null) progress.say(lastLines(complaint));
  return missingPackages(env);
}
