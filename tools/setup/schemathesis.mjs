import { join } from 'node:path';
import { tryPythonEnvironment } from './python-environment.mjs';

const version = '4.32.5';

/**
 * For the tests: the program `schemathesis`, which calls the API as its document allows and beyond; `null`
 * with a message if it cannot be installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureSchemathesis(context) {
  const home = await tryPythonEnvironment(context, {
    name: 'schemathesis',
    folder: `schemathesis-${version}`,
    requirements: 'schemathesis.txt',
    title: `Installing schemathesis ${version}`,
    why: 'the tests compare the API’s answers with its document',
  });
  return home && join(home, 'bin', 'schemathesis');
}
