import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exclusively } from '../exclusive.mjs';
import { isProgram, SetupError } from '../run.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

/**
 * A way to get programs: puts them into `folder`/bin, or returns briefly why it does not work here.
 * @typedef {{
 *   name: string,
 *   obtain: (context: Context, folder: string) => Promise<{ unavailable: string } | null>,
 * }} Way
 */

/**
 * Programs of one version, each in CACHE_DIR/`folder`/bin.
 * @typedef {{ title: string, folder: string, programs: string[], ways: Way[] }} Tool
 */

/**
 * Returns the folder of a tool's programs: from an earlier set-up, or made by the first way that works.
 * @param {Context} context
 * @param {Tool} tool
 * @returns {Promise<string>}
 */
export async function ensureTool(context, tool) {
  const home = join(context.cacheDir, tool.folder);
  const programs = tool.programs.map((name) => join('bin', name));
  const isComplete = (/** @type {string} */ folder) =>
    programs.every((path) => isProgram(join(folder, path)));
  await ensureFolder(context, { title: tool.title, home, isComplete }, async (folder) => {
    mkdirSync(join(folder, 'bin'));
    const refusals = [];
    for (const { name, obtain } of tool.ways) {
      const refusal = await obtain(context, folder);
      if (refusal === null && isComplete(folder)) return;
      refusals.push(`  ${name}: ${refusal?.unavailable ?? 'made other programs'}`);
    }
    throw new SetupError(`${tool.title} could not be set up.\n${refusals.join('\n')}`);
  });
  return join(home, 'bin');
}

/**
 * Makes a folder of the cache unless it is complete. It is built beside its destination and moved there in
 * one step, by one process at a time.
 * @param {Context} context
 * @param {{ title: string, home: string, isComplete: (folder: string) => boolean }} wanted
 * @param {(folder: string) => Promise<void>} make
 */
export async function ensureFolder({ cacheDir, progress, signal }, { title, home, isComplete }, make) {
  if (isComplete(home)) return;
  const name = home.slice(cacheDir.length + 1);
  const onWait = (/** @type {number} */ pid) =>
    progress.say(`Waiting for process ${pid}, which is setting up ${title} in ${cacheDir}`);
  await exclusively(join(cacheDir, 'claims', name), { onWait, signal }, async () => {
    if (isComplete(home)) return;
    for (const left of readdirSync(cacheDir))
      if (left.startsWith(`${name}.unfinished-`)) remove(join(cacheDir, left));
    const unfinished = mkdtempSync(`${home}.unfinished-`);
    try {
      await make(unfinished);
      remove(home);
      renameSync(unfinished, home);
    } finally {
      remove(unfinished);
    }
  });
}

/** @param {string} folder */
const remove = (folder) => rmSync(folder, { recursive: true, force: true });
