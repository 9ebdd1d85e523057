import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exclusively } from './exclusive.mjs';
import { buildPulumi } from './pulumi-build.mjs';
import { downloadPulumi } from './pulumi-download.mjs';
import { pulumiVersion } from './pulumi-version.mjs';
import { findProgram, Interrupted, isProgram, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * A way to get the Pulumi CLI: makes `bin/pulumi` in `folder`. `unavailable`: briefly, why not here.
 * @typedef {{
 *   name: string,
 *   obtain: (context: Context, folder: string) => Promise<{ unavailable: string } | null>,
 * }} Way
 */

/** @type {Way[]} */
const waysInOrder = [
  { name: 'the official download', obtain: downloadPulumi },
  { name: 'a build from source', obtain: buildPulumi },
];

/**
 * Returns the path of a Pulumi CLI of exactly this version: from PATH, an earlier set-up, or a new one.
 * @param {Context} context
 * @param {Way[]} ways
 * @returns {Promise<string>}
 */
export async function ensurePulumi(context, ways = waysInOrder) {
  const { cacheDir, env, progress, signal } = context;
  const onPath = findProgram('pulumi', env);
  if (onPath !== null && (await readVersion(context, onPath)) === pulumiVersion) return onPath;
  const home = join(cacheDir, `pulumi-${pulumiVersion}`);
  const cached = join(home, 'bin', 'pulumi');
  if (isProgram(cached)) return cached;
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is setting up Pulumi ${pulumiVersion} in ${cacheDir}`);
  const claim = join(cacheDir, 'claims', `pulumi-${pulumiVersion}`);
  return exclusively(claim, { onWait, signal }, async () => {
    if (!isProgram(cached)) await obtain(context, ways, home);
    return cached;
  });
}

/**
 * Tries the ways in order, each in a temporary folder that is renamed once it is complete.
 * @param {Context} context
 * @param {Way[]} ways
 * @param {string} home
 */
async function obtain(context, ways, home) {
  clearUnfinished(home);
  const refusals = [];
  for (const { name, obtain } of ways) {
    const unfinished = mkdtempSync(`${home}.unfinished-`);
    try {
      mkdirSync(join(unfinished, 'bin'));
      const refusal = await obtain(context, unfinished);
      const made = refusal === null ? await readVersion(context, join(unfinished, 'bin', 'pulumi')) : null;
      if (made === pulumiVersion) {
        rmSync(home, { recursive: true, force: true });
        renameSync(unfinished, home);
        return;
      }
      refusals.push(`${name}: ${refusal?.unavailable ?? `gave version ${made ?? 'unknown'}`}`);
    } finally {
      rmSync(unfinished, { recursive: true, force: true });
    }
  }
  throw new SetupError(
    `The Pulumi CLI ${pulumiVersion} could not be set up.\n${refusals.map((text) => `  ${text}`).join('\n')}`,
  );
}

/** @param {string} home */
function clearUnfinished(home) {
  const parent = join(home, '..');
  for (const name of readdirSync(parent)) {
    const path = join(parent, name);
    if (path.startsWith(`${home}.unfinished-`)) rmSync(path, { recursive: true, force: true });
  }
}

/**
 * @param {Context} context
 * @param {string} program
 */
async function readVersion({ run, env, signal }, program) {
  try {
    const { code, output } = await run(program, ['version'], {
      env: { ...env, PULUMI_SKIP_UPDATE_CHECK: 'true' },
      signal,
    });
    return code === 0 ? (/^v?(\d+\.\d+\.\d+\S*)$/m.exec(output)?.[1] ?? null) : null;
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    return null;
  }
}
