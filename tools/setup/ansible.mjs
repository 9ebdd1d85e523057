import { join } from 'node:path';
import { ensurePythonEnvironment, findPythonEnvironment } from './python-environment.mjs';

const version = '2.19.14';

/** @type {import('./python-environment.mjs').PythonPackage} */
const ansible = {
  name: 'Ansible',
  folder: `ansible-${version}`,
  requirements: 'ansible.txt',
  title: `Installing Ansible ${version}`,
  why: 'configures the servers',
};

/**
 * Returns the folder with `ansible-playbook`, in its own Python environment.
 * @param {import('./set-up.mjs').Context} context
 * @returns {Promise<string>}
 */
export async function ensureAnsible(context) {
  return join(await ensurePythonEnvironment(context, ansible), 'bin');
}

/**
 * The folder of an earlier set-up, or `null`.
 * @param {{ cacheDir: string }} context
 */
export function findAnsible(context) {
  const home = findPythonEnvironment(context, ansible);
  return home === null ? null : join(home, 'bin');
}
