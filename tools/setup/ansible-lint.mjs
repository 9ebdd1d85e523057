import { join } from 'node:path';
import { tryPythonEnvironment } from './python-environment.mjs';

const version = '26.10.1';

/**
 * For the tests: the folder with `ansible-lint`, or `null` with a message if it cannot be installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureAnsibleLint(context) {
  const home = await tryPythonEnvironment(context, {
    name: 'ansible-lint',
    folder: `ansible-lint-${version}`,
    requirements: 'ansible-lint.txt',
    title: `Installing ansible-lint ${version}`,
    why: 'the tests lint the playbook with it',
  });
  return home && join(home, 'bin');
}
