import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lastLines } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/** What is needed of the kernel, tried out in namespaces that go with the process. The words name what fails. */
const trial = `
set -e
cd "$1"
what="overlay mounts"; trap 'test $? = 0 || echo "what fails: $what"' EXIT
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work root
what="pairs of network interfaces"; ip link set lo up; ip link add one type veth peer name two
what="nftables"; nft add table inet trial; nft add rule inet trial trial 2>/dev/null || true
what="/dev/net/tun"; test -c /dev/net/tun
what="control groups"; test -w /sys/fs/cgroup
what=""
`;

/**
 * Why real machines cannot be on this host, whatever is installed; `null` where they can.
 * @param {Context} context
 * @param {{ platform: NodeJS.Platform, isRoot: boolean }} host
 * @returns {Promise<string | null>}
 */
export async function hostProblem(
  { env, run, signal },
  host = { platform: process.platform, isRoot: process.getuid?.() === 0 },
) {
  if (host.platform !== 'linux') return 'they need Linux';
  if (!host.isRoot) return 'they need root';
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
