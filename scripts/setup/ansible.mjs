import { join } from 'node:path';
import { ensurePythonEnvironment } from './python-environment.mjs';

export const ansibleVersion = '2.19.14';

/**
 * The folder with `ansible-playbook`, in a Python environment of its own.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string>}
 */
export async function ensureAnsible(context) {
  const home = await ensurePythonEnvironment(context, {
    name: 'Ansible',
    folder: `ansible-${ansibleVersion}`,
    requirement: `ansible-core==${ansibleVersion}`,
    title: `Installing Ansible ${ansibleVersion}`,
    why: 'configures the servers',
  });
  return join(home, 'bin');
}
