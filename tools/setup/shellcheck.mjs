import { join } from 'node:path';
import { tryPythonEnvironment } from './python-environment.mjs';

/** shellcheck's own version, and after it the number of the package that brings it. */
const version = '0.11.0.1';

/**
 * For the tests: the path of `shellcheck`, or `null` where it cannot be had, which is said.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureShellcheck(context) {
  const home = await tryPythonEnvironment(context, {
    name: 'shellcheck',
    folder: `shellcheck-${version}`,
    requirements: 'shellcheck.txt',
    title: `Installing shellcheck ${version}`,
    why: 'the tests look at the shell scripts with it',
  });
  return home && join(home, 'bin', 'shellcheck');
}
