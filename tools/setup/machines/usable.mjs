import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastLines } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/**
 * Tries out what is needed of the kernel, in namespaces that end with the process. The words name what fails.
 */
const trial = `
set -e
cd "$1"
what="overlay mounts"; trap 'test $? = 0 || echo "what fails: $what"' EXIT
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root
what="pairs of network interfaces"; ip link set lo up; ip link add one type veth peer name two
what="nftables"; nft add table inet trial
what="/dev/net/tun"; test -c /dev/net/tun
what="control groups"; test -w /sys/fs/cgroup
what=""
`;

/**
 * Returns why a host can never have real machines, whatever is installed, as far as this is known without a
 * trial; otherwise `null`.
 * @param {{ platform: NodeJS.Platform, isRoot: boolean }} host
 */
export function hostProblem(host = { platform: process.platform, isRoot: process.getuid?.() === 0 }) {
  if (host.platform !== 'linux') return 'they need Linux';
  return host.isRoot ? null : 'they need root';
}

/**
 * Returns why this host's kernel or container does not permit real machines; `null` if it does.
 * @param {Context} context
 * @returns {Promise<string | null>}
 */
export async function trialProblem({ env, run, signal }) {
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-trial-'));
  for (const name of ['lower', 'upper', 'work', 'root']) mkdirSync(join(folder, name));
  try {
    const args = ['--mount', '--net', '--propagation', 'private', 'sh', '-c', trial, 'trial', folder];
    const { code, output } = await run('unshare', args, { env, signal });
    return code === 0 ? null : `this host does not permit what they need:\n${lastLines(output)}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
