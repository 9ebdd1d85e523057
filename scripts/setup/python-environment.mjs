import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exclusively } from './exclusive.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Something from PyPI: `name` for people, `folder` in the cache (with the version), `requirement` as pip reads it, several with blanks between.
 * @typedef {{ name: string, folder: string, requirement: string, title: string, why: string }} PythonPackage
 */

/**
 * The folder of a Python environment of its own that has the package; made where it is not there.
 * @param {Context} context
 * @param {PythonPackage} wanted
 * @returns {Promise<string>}
 */
export async function ensurePythonEnvironment(context, wanted) {
  const { cacheDir, progress, signal } = context;
  const home = join(cacheDir, wanted.folder);
  if (isComplete(home)) return home;
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is setting up ${wanted.name} in ${cacheDir}`);
  await exclusively(join(cacheDir, 'claims', wanted.folder), { onWait, signal }, async () => {
    if (isComplete(home)) return;
    await progress.step(wanted.title, wanted.why, async (step) => {
      await install(context, wanted, home, step.note);
    });
  });
  return home;
}

/**
 * An environment names its own path in its programs, so it is made in its place, and marked when it is complete.
 * @param {Context} context
 * @param {PythonPackage} wanted
 * @param {string} home
 * @param {(detail: string) => void} note
 */
async function install(context, { name, requirement }, home, note) {
  rmSync(home, { recursive: true, force: true });
  try {
    note('Python environment');
    await makeEnvironment(context, name, home);
    note('packages');
    const pip = ['-m', 'pip', 'install', '--quiet', '--no-input', '--disable-pip-version-check'];
    const { code, output } = await context.run(
      join(home, 'bin', 'python3'),
      [...pip, ...requirement.split(' ')],
      {
        env: pythonEnvironment(context.env),
        signal: context.signal,
      },
    );
    if (code !== 0) throw new SetupError(`${name} could not be installed from PyPI:\n${lastLines(output)}`);
    writeFileSync(join(home, '.complete'), home);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

/**
 * @param {Context} context
 * @param {string} name
 * @param {string} home
 */
async function makeEnvironment(context, name, home) {
  const options = { env: pythonEnvironment(context.env), signal: context.signal };
  const pythons = await fittingPythons(context);
  if (pythons.length === 0) {
    throw new SetupError(
      `${name} needs Python 3.11 or newer. Debian and Ubuntu: apt-get install python3 python3-venv`,
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
