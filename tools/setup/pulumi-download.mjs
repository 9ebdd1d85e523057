import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fetchTo } from './fetch.mjs';
import { pulumiVersion } from './pulumi-version.mjs';
import { lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

const officialSites = {
  archives: 'https://get.pulumi.com/releases/sdk',
  checksums: `https://github.com/pulumi/pulumi/releases/download/v${pulumiVersion}/pulumi-${pulumiVersion}-checksums.txt`,
};

/**
 * Downloads the official archive and unpacks it into `folder`/bin.
 * @param {Context} context
 * @param {string} folder
 * @param {{ archives: string, checksums: string }} sites
 * @returns {Promise<{ unavailable: string } | null>}
 */
export async function downloadPulumi(context, folder, sites = officialSites) {
  const platform = platformName(process.platform, process.arch);
  if (platform === null) return { unavailable: `not published for ${process.platform} ${process.arch}` };
  const name = `pulumi-v${pulumiVersion}-${platform}.tar.gz`;
  const archive = join(folder, name);
  const why = 'the engine behind every stack';
  return context.progress.step(`Downloading Pulumi ${pulumiVersion}`, why, async (step) => {
    const failure = await fetchTo(context, `${sites.archives}/${name}`, archive, step.note);
    if (failure !== null) {
      step.outcome(`not available (${failure})`);
      return { unavailable: failure };
    }
    const wrong = await checkArchive(context, archive, name, sites.checksums);
    if (wrong !== null) {
      step.outcome(`not used (${wrong})`);
      rmSync(archive);
      return { unavailable: wrong };
    }
    const args = ['-xzf', archive, '--strip-components=1', '-C', join(folder, 'bin')];
    const { code, output } = await context.run('tar', args, { signal: context.signal });
    if (code !== 0) return { unavailable: `the archive could not be unpacked:\n${lastLines(output)}` };
    rmSync(archive);
    return null;
  });
}

/**
 * The official checksums are on another site. If that is unreachable, the CLI is built from source, whose
 * modules are pinned here.
 * @param {Context} context
 * @param {string} archive
 * @param {string} name
 * @param {string} listUrl
 * @returns {Promise<string | null>} why the archive cannot be checked
 */
async function checkArchive(context, archive, name, listUrl) {
  const list = join(archive, '..', 'checksums.txt');
  const failure = await fetchTo(context, listUrl, list, () => {});
  if (failure !== null) return `without its official checksum: ${failure}`;
  const wanted = readFileSync(list, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+\*?/))
    .find(([, file]) => file === name)?.[0];
  rmSync(list);
  if (wanted === undefined) return 'the official list has no checksum for it';
  const hash = createHash('sha256');
  await pipeline(createReadStream(archive), hash);
  if (hash.digest('hex') !== wanted)
    throw new SetupError(`${name} does not match its official checksum. Not used.`);
  return null;
}

/**
 * @param {string} platform
 * @param {string} arch
 */
export function platformName(platform, arch) {
  if (!['linux', 'darwin'].includes(platform) || !['x64', 'arm64'].includes(arch)) return null;
  return `${platform}-${arch}`;
}
