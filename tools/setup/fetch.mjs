import { join } from 'node:path';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Fetches with the Node of the packages, which honours the proxy variables. Returns why it failed, or `null`.
 * @param {Context} context
 * @param {string} url
 * @param {string} file
 * @param {(detail: string) => void} note
 */
export async function fetchTo({ root, env, run, signal }, url, file, note) {
  const script = join(root, 'tools', 'setup', 'fetch-to-file.mjs');
  const { code, output } = await run(join(root, 'node_modules/.bin/node'), [script, url, file], {
    env: { ...env, NODE_USE_ENV_PROXY: '1' },
    signal,
    onLine: note,
  });
  return code === 0 ? null : (output.trim().split('\n').at(-1) ?? 'failed');
}
