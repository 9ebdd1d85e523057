import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder } from './machines/tool.mjs';
import { findProgram, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

const PROGRAM = join('usr', 'sbin', 'pgbouncer');

/**
 * For the tests: the folder with PgBouncer and its libraries below `usr`, unpacked from Debian's packages
 * without installing them: an installation would start a service. `null` with a message if there is none.
 * @param {Context} context
 * @returns {Promise<string | null>}
 */
export async function ensurePgbouncer(context) {
  const home = join(context.cacheDir, 'pgbouncer');
  const isComplete = (/** @type {string} */ folder) => existsSync(join(folder, PROGRAM));
  try {
    await ensureFolder(context, { title: 'PgBouncer', home, isComplete }, (folder) =>
      context.progress.step('Getting PgBouncer', 'the tests put it before the database', (step) =>
        unpack(context, folder, step),
      ),
    );
    return home;
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}

/**
 * @param {Context} context
 * @param {string} folder
 * @param {import('./progress.mjs').Step} step
 */
async function unpack({ env, run, signal }, folder, step) {
  const options = { cwd: folder, env, signal };
  if (findProgram('apt-get', env) === null || findProgram('dpkg-deb', env) === null) {
    step.outcome('not available (no apt-get)');
    throw new SetupError('PgBouncer is not available: its package comes by apt-get');
  }
  const depends = await run('apt-cache', ['depends', '--important', 'pgbouncer'], options);
  // The others are on every Debian.
  const libraries = depends.output.match(/(?<=Depends: )lib(event|c-?ares)\S*/g) ?? [];
  const got = await run('apt-get', ['download', '-q', 'pgbouncer', ...libraries], options);
  if (got.code !== 0) {
    step.outcome('not available');
    throw new SetupError(`PgBouncer is not available:\n${lastLines(got.output)}`);
  }
  for (const file of readdirSync(folder)) {
    const { code, output } = await run('dpkg-deb', ['-x', file, '.'], options);
    if (code !== 0) throw new SetupError(`${file} could not be unpacked:\n${lastLines(output)}`);
    rmSync(join(folder, file));
  }
}
