import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { realPath } from '../../src/processes/real-path.mjs';
import { exclusively } from './exclusive.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * A package from PyPI: `name` for people, `folder` in the cache (with the version), `requirements` the file
 * beside this one that pins it and its dependencies, with the hashes of every file that may be installed.
 * @typedef {{ name: string, folder: string, requirements: string, title: string, why: string }} PythonPackage
 */

/**
 * Returns the folder of a Python environment with the package; creates it if there is none.
 * @param {Context} context
 * @param {PythonPackage} wanted
 * @returns {Promise<string>}
 */
export async function ensurePythonEnvironment(context, wanted) {
  const { cacheDir, progress, signal } = context;
  const folder = folderName(wanted);
  const found = findEnvironment(cacheDir, folder).usable;
  if (found !== null) return found;
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is setting up ${wanted.name} in ${cacheDir}`);
  return exclusively(join(cacheDir, 'claims', folder), { onWait, signal }, async () => {
    const { usable, free } = findEnvironment(cacheDir, folder);
    if (usable !== null) return usable;
    await progress.step(wanted.title, wanted.why, async (step) => {
      await install(context, wanted, free, step.note);
    });
    return free;
  });
}

/**
 * For the tests: as above, or `null` where it cannot be had, which is said.
 * @param {Context} context
 * @param {PythonPackage} wanted
 * @returns {Promise<string | null>}
 */
export async function tryPythonEnvironment(context, wanted) {
  try {
    return await ensurePythonEnvironment(context, wanted);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}

/**
 * Such an environment that is there already, or `null`.
 * @param {{ cacheDir: string }} context
 * @param {PythonPackage} wanted
 */
export function findPythonEnvironment(context, wanted) {
  return findEnvironment(context.cacheDir, folderName(wanted)).usable;
}

/** @param {PythonPackage} wanted */
const requirementsPath = ({ requirements }) =>
  fileURLToPath(new URL(`python/${requirements}`, import.meta.url));

/**
 * Other pins make another environment: an existing one may be in use and is never changed.
 * @param {PythonPackage} wanted
 */
function folderName(wanted) {
  const hash = createHash('sha256').update(readFileSync(requirementsPath(wanted)));
  return `${wanted.folder}-${hash.digest('hex').slice(0, 8)}`;
}

/**
 * An environment's programs contain its own path. A cache may be reached by several paths or shared by
 * several systems, so there may be more than one environment. One finished under another path is neither used
 * nor changed.
 * @param {string} cacheDir
 * @param {string} folder
 * @returns {{ usable: string | null, free: string }} `free`: where to make the next one
 */
function findEnvironment(cacheDir, folder) {
  for (let number = 1; ; number += 1) {
    const home = join(realPath(cacheDir), number === 1 ? folder : `${folder}.${number}`);
    const mark = join(home, '.complete');
    if (!existsSync(mark)) return { usable: null, free: home };
    const own = readFileSync(mark, 'utf8');
    if (isSameFolder(own, home) && existsSync(join(own, 'bin', 'python3')))
      return { usable: own, free: home };
  }
}

/**
 * @param {string} one
 * @param {string} other
 */
function isSameFolder(one, other) {
  const [first, second] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return first !== undefined && first.dev === second?.dev && first.ino === second.ino;
}

/**
 * Created in place and marked when complete. A folder without the mark is a leftover of a killed set-up.
 * @param {Context} context
 * @param {PythonPackage} wanted
 * @param {string} home
 * @param {(detail: string) => void} note
 */
async function install(context, wanted, home, note) {
  const { name } = wanted;
  rmSync(home, { recursive: true, force: true });
  try {
    note('Python environment');
    await makeEnvironment(context, name, home);
    note('packages');
    const { code, output } = await context.run(join(home, 'bin', 'python3'), pipArguments(wanted), {
      env: pythonEnvironment(context.env),
      signal: context.signal,
    });
    if (code !== 0) throw new SetupError(`${name} could not be installed from PyPI:\n${lastLines(output)}`);
    writeFileSync(join(home, '.complete'), home);
  } catch (error) {
    rmSync(home, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Installs only files whose hash is listed, wherever pip gets them from.
 * @param {PythonPackage} wanted
 */
function pipArguments(wanted) {
  const quiet = ['--quiet', '--no-input', '--disable-pip-version-check'];
  return ['-m', 'pip', 'install', ...quiet, '--require-hashes', '-r', requirementsPath(wanted)];
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
 * Removes what would make Python install or import from elsewhere.
 * @param {NodeJS.ProcessEnv} env
 */
function pythonEnvironment(env) {
  /** @type {NodeJS.ProcessEnv} */
  const result = { ...env, PIP_USER: '0' };
  delete result.PYTHONHOME;
  // The user's pip settings could name further files to install.
  delete result.PIP_REQUIREMENT;
  delete result.PIP_CONSTRAINT;
  delete result.PYTHONPATH;
  return result;
}
