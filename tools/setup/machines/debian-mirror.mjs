/** @typedef {import('../set-up.mjs').Context} Context */

const official = 'http://deb.debian.org/debian';

/**
 * Finds the Debian mirror of this host's own apt, and the environment with the proxy that apt uses for it.
 * Falls back to the official mirror.
 * @param {Context} context
 * @returns {Promise<{ url: string, env: NodeJS.ProcessEnv }>}
 */
export async function findMirror({ env, run, signal }) {
  const format = ['--format', '$(REPO_URI) $(ORIGIN) $(LABEL)', 'Created-By: Packages'];
  const targets = await run('apt-get', ['indextargets', ...format], { env, signal });
  const url = targets.code === 0 ? mirrorIn(targets.output) : null;
  const proxy = await run('apt-config', ['shell', 'PROXY', 'Acquire::http::Proxy'], { env, signal });
  const found = /^PROXY='(.+)'$/m.exec(proxy.output)?.[1];
  return {
    url: url ?? official,
    env: { ...env, ...(found === undefined || found === 'DIRECT' ? {} : { http_proxy: found }) },
  };
}

/** @param {string} targets  one per line: address, origin, label */
export function mirrorIn(targets) {
  const line = targets.split('\n').find((text) => /^https?:\S+ Debian Debian$/.test(text.trim()));
  return line?.split(' ')[0] ?? null;
}
