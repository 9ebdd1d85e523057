import { join } from 'node:path';
import { ensurePythonEnvironment } from './python-environment.mjs';
import { SetupError } from './run.mjs';

const version = '26.10.1';

/**
 * For the tests: the folder with `ansible-lint`, or `null` with a message if it cannot be installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureAnsibleLint(context) {
  try {
    const home = await ensurePythonEnvironment(context, {
      name: 'ansible-lint',
      folder: `ansible-lint-${version}`,
      requirements: 'ansible-lint.txt',
      title: `Installing ansible-lint ${version}`,
      why: 'the tests lint the playbook with it',
    });
    return join(home, 'bin');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}
