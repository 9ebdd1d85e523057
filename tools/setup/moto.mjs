import { join } from 'node:path';
import { tryPythonEnvironment } from './python-environment.mjs';

const version = '5.2.5';

/**
 * For the tests and the benchmark: the program `moto_server`, which answers as AWS does, its key service
 * included; `null` with a message if it cannot be installed.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string | null>}
 */
export async function ensureMoto(context) {
  const home = await tryPythonEnvironment(context, {
    name: 'moto',
    folder: `moto-${version}`,
    requirements: 'moto.txt',
    title: `Installing moto ${version}`,
    why: 'the tests encrypt stacks’ secrets with its key service',
  });
  return home && join(home, 'bin', 'moto_server');
}
