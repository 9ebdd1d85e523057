import { join } from 'node:path';
import { tryPythonEnvironment } from './python-environment.mjs';

const version = '2.27.0';

/**
 * For the tests: the Python with Hetzner's official client, or `null` with a message if it cannot be
 * installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureHetznerClient(context) {
  const home = await tryPythonEnvironment(context, {
    name: "Hetzner's Python client",
    folder: `hcloud-python-${version}`,
    requirements: 'hcloud.txt',
    title: `Installing Hetzner's Python client ${version}`,
    why: 'the tests check the sandbox with it',
  });
  return home && join(home, 'bin', 'python3');
}
