import { join } from 'node:path';
import { ensurePythonEnvironment } from './python-environment.mjs';
import { SetupError } from './run.mjs';

const version = '2.27.0';

/**
 * For the tests: the Python with Hetzner's official client, or `null` with a message if it cannot be
 * installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureHetznerClient(context) {
  try {
    const home = await ensurePythonEnvironment(context, {
      name: "Hetzner's Python client",
      folder: `hcloud-python-${version}`,
      requirements: 'hcloud.txt',
      title: `Installing Hetzner's Python client ${version}`,
      why: 'the tests check the sandbox with it',
    });
    return join(home, 'bin', 'python3');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}
