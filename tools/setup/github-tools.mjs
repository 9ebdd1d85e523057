import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fetchTo } from './fetch.mjs';
import { listedChecksum } from './machines/download.mjs';
import { buildWithGo } from './machines/go-build.mjs';
import { ensureTool } from './machines/tool.mjs';
import { lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * A program published as an archive for each platform and as a Go module, which the folder of its name in
 * github-tools pins.
 * @typedef {{
 *   name: string, version: string, why: string, module: string, buildTime: string,
 *   site: string, checksums: (archive: string) => string,
 *   archive: (platform: string, architecture: string) => string | null,
 *   folder?: (archive: string) => string, buildFlags?: string[],
 * }} Published
 *   `folder`: the folder around the program in the archive
 */

/** @type {Published} */
export const act = {
  name: 'act',
  version: '0.2.89',
  why: "runs the repository's workflow on this machine",
  module: 'github.com/nektos/act',
  buildTime: 'about a minute on two cores',
  site: 'https://github.com/nektos/act/releases/download/v0.2.89',
  checksums: () => 'checksums.txt',
  archive: (platform, architecture) => {
    const system = { linux: 'Linux', darwin: 'Darwin' }[platform];
    const machine = { x64: 'x86_64', arm64: 'arm64' }[architecture];
    return system && machine ? `act_${system}_${machine}.tar.gz` : null;
  },
};

/** @type {Published} */
export const actionlint = {
  name: 'actionlint',
  version: '1.7.12',
  why: 'the tests lint the workflow with it',
  module: 'github.com/rhysd/actionlint/cmd/actionlint',
  buildTime: 'some seconds',
  site: 'https://github.com/rhysd/actionlint/releases/download/v1.7.12',
  checksums: () => 'actionlint_1.7.12_checksums.txt',
  archive: (platform, architecture) => {
    const machine = { x64: 'amd64', arm64: 'arm64' }[architecture];
    return ['linux', 'darwin'].includes(platform) && machine
      ? `actionlint_1.7.12_${platform}_${machine}.tar.gz`
      : null;
  },
};

/** @type {Published} */
export const promtool = {
  name: 'promtool',
  version: '3.16.0',
  why: 'the tests check alerts and queries with it',
  module: 'github.com/prometheus/prometheus/cmd/promtool',
  // Without service discovery, which brings the SDKs of a dozen clouds.
  buildFlags: ['-tags=remove_all_sd'],
  buildTime: 'three to five minutes on two cores',
  site: 'https://github.com/prometheus/prometheus/releases/download/v3.16.0',
  checksums: () => 'sha256sums.txt',
  folder: (archive) => archive.replace(/\.tar\.gz$/, ''),
  archive: (platform, architecture) => {
    const machine = { x64: 'amd64', arm64: 'arm64' }[architecture];
    return ['linux', 'darwin'].includes(platform) && machine
      ? `prometheus-3.16.0.${platform}-${machine}.tar.gz`
      : null;
  },
};

/** @type {Published} */
export const helm = {
  name: 'helm',
  version: '3.22.0',
  why: 'the tests lint and render the chart with it',
  module: 'helm.sh/helm/v3/cmd/helm',
  buildTime: 'two to three minutes on two cores',
  site: 'https://get.helm.sh',
  checksums: (archive) => `${archive}.sha256sum`,
  folder: (archive) => archive.replace(/^helm-v[\d.]+-(.+)\.tar\.gz$/, '$1'),
  archive: (platform, architecture) => {
    const machine = { x64: 'amd64', arm64: 'arm64' }[architecture];
    return ['linux', 'darwin'].includes(platform) && machine
      ? `helm-v3.22.0-${platform}-${machine}.tar.gz`
      : null;
  },
};

/**
 * Returns the path of exactly that version: set up before, downloaded, or built from the Go module proxy.
 * @param {Context} context
 * @param {Published} tool
 * @returns {Promise<string>}
 */
export async function ensurePublished(context, tool) {
  const bin = await ensureTool(context, {
    title: `${tool.name} ${tool.version}`,
    folder: `${tool.name}-${tool.version}`,
    programs: [tool.name],
    ways: [
      {
        name: 'the official download',
        obtain: (context, folder) => downloadPublished(context, folder, tool),
      },
      { name: 'a build from source', obtain: (context, folder) => buildPublished(context, folder, tool) },
    ],
  });
  return join(bin, tool.name);
}

/**
 * For the tests: as above, or `null` with a message if it cannot be installed.
 * @param {Context} context
 * @param {Published} tool
 * @returns {Promise<string | null>}
 */
export async function tryPublished(context, tool) {
  try {
    return await ensurePublished(context, tool);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    context.progress.say(error.message);
    return null;
  }
}

/**
 * Downloads the official archive and unpacks the program into `folder`/bin. Without a checksum it is not
 * used.
 * @param {Context} context
 * @param {string} folder
 * @param {Published} tool
 * @returns {Promise<{ unavailable: string } | null>}
 */
export async function downloadPublished(context, folder, tool) {
  const { name, version, why, site, archive } = tool;
  const file = archive(process.platform, process.arch);
  if (file === null) return { unavailable: `not published for ${process.platform} ${process.arch}` };
  const checksums = tool.checksums(file);
  return context.progress.step(`Downloading ${name} ${version}`, why, async (step) => {
    for (const wanted of [checksums, file]) {
      const failure = await fetchTo(context, `${site}/${wanted}`, join(folder, wanted), step.note);
      if (failure === null) continue;
      step.outcome(`not available (${failure})`);
      return { unavailable: failure };
    }
    const path = join(folder, file);
    const sum = createHash('sha256').update(readFileSync(path)).digest('hex');
    if (sum !== listedChecksum(readFileSync(join(folder, checksums), 'utf8'), file))
      throw new SetupError(`${file} does not match its official checksum. Not used.`);
    const member =
      tool.folder === undefined ? [name] : [`${tool.folder(file)}/${name}`, '--strip-components=1'];
    const unpack = ['-xzf', path, '-C', join(folder, 'bin'), ...member];
    const { code, output } = await context.run('tar', unpack, { signal: context.signal });
    if (code !== 0) return { unavailable: `the archive could not be unpacked:\n${lastLines(output)}` };
    for (const used of [checksums, file]) rmSync(join(folder, used));
    return null;
  });
}

/**
 * @param {Context} context
 * @param {string} folder
 * @param {Published} tool
 */
export function buildPublished(context, folder, { name, version, module, buildTime, buildFlags = [] }) {
  return buildWithGo(context, folder, {
    title: `${name} ${version}`,
    module: `github-tools/${name}`,
    packages: [module],
    flags: ['-ldflags=-s -w', ...buildFlags],
    about: buildTime,
  });
}
