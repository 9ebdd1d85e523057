import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exclusively } from './exclusive.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

export const ansibleVersion = '2.19.14';

/**
 * The folder with `ansible-playbook`, in a Python environment of its own.
 * @param {Context} context
 * @returns {Promise<string>}
 */
export async function ensureAnsible(context) {
  const { cacheDir, progress, signal } = context;
  const home = join(cacheDir, `ansible-${ansibleVersion}`);
  if (isComplete(home)) return join(home, 'bin');
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is setting up Ansible in ${cacheDir}`);
  await exclusively(join(cacheDir, 'claims', `ansible-${ansibleVersion}`), { onWait, signal }, async () => {
    if (isComplete(home)) return;
    await progress.step(`Installing Ansible ${ansibleVersion}`, 'configures the servers', async (step) => {
      await install(context, home, step.note);
    });
  });
  return join(home, 'bin');
}

/**
 * An environment names its own path in its programs, so it is made in its place, and marked when it is complete.
 * @param {Context} context
 * @param {string} home
 * @param {(detail: string) => void} note
 */
async function install(context, home, note) {
  rmSync(home, { recursive: true, force: true });
  try {
    note('Python environment');
    await makeEnvironment(context, home);
    note('packages');
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
    const { code, output } = await context.run(
      join(home, 'bin', 'python3'),
      [...pip, `ansible-core==${ansibleVersion}`],
      { env: pythonEnvironment(context.env), signal: context.signal },
    );
    if (code !== 0) throw new SetupError(`Ansible could not be installed from PyPI:\n${lastLines(output)}`);
    writeFileSync(join(home, '.complete'), home);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {Context} context
 * @param {string} home
 */
async function makeEnvironment(context, home) {
  const options = { env: pythonEnvironment(context.env), signal: context.signal };
  const pythons = await fittingPythons(context);
  if (pythons.length === 0) {
    throw new SetupError(
      'Ansible needs Python 3.11 or newer. Debian and Ubuntu: apt-get install python3 python3-venv',
    );
  }
  for (const python of pythons) {
    const { code } = await context.run(python, ['-c', 'import venv, ensurepip'], options);
    if (code !== 0) continue;
    const made = await context.run(python, ['-m', 'venv', home], options);
    if (made.code === 0) return;
    rmSync(home, { recursive: true, force: true });
  }
  mkdirSync(home, { recursive: true });
  const virtualenv = findProgram('virtualenv', context.env);
  if (virtualenv !== null) {
    const { code } = await context.run(
      virtualenv,
      ['--quiet', '--python', /** @type {string} */ (pythons[0]), home],
      options,
    );
    if (code === 0) return;
  }
  throw new SetupError(
    'This Python cannot make virtual environments. Debian and Ubuntu: apt-get install python3-venv',
  );
}

/**
 * @param {Context} context
 * @returns {Promise<string[]>}
 */
async function fittingPythons({ env, run, signal }) {
  const fitting = [];
  for (const name of ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.14']) {
    const path = findProgram(name, env);
    if (path === null) continue;
    const check = 'import sys; sys.exit(sys.version_info < (3, 11))';
    const { code } = await run(path, ['-c', check], { env: pythonEnvironment(env), signal });
    if (code === 0) fitting.push(path);
  }
  return fitting;
}

/**
 * Without what would make Python install elsewhere or import from elsewhere.
 * @param {NodeJS.ProcessEnv} env
 */
function pythonEnvironment(env) {
  /** @type {NodeJS.ProcessEnv} */
  const result = { ...env, PIP_USER: '0' };
  delete result.PYTHONHOME;
  delete result.PYTHONPATH;
  return result;
}

/**
 * Whether it was made to its end, in this very place, with a Python that is still there.
 * @param {string} home
 */
function isComplete(home) {
  const mark = join(home, '.complete');
  return existsSync(mark) && readFileSync(mark, 'utf8') === home && existsSync(join(home, 'bin', 'python3'));
}
