import { chmodSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { download, goArchitecture } from './download.mjs';
import { buildWithGo } from './go-build.mjs';
import { ensureTool } from './tool.mjs';
import { headscaleVersion } from './versions.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

const title = `headscale ${headscaleVersion}`;
const site = `https://github.com/juanfont/headscale/releases/download/v${headscaleVersion}`;

/**
 * The sandbox's control server of the tailnet.
 * @param {Context} context
 * @returns {Promise<string>} its path
 */
export async function ensureHeadscale(context) {
  const bin = await ensureTool(context, {
    title,
    folder: `headscale-${headscaleVersion}`,
    programs: ['headscale'],
    ways: [
      { name: 'the official download', obtain: downloadHeadscale },
      { name: 'a build from source', obtain: buildHeadscale },
    ],
  });
  return join(bin, 'headscale');
}

/** @type {import('./tool.mjs').Way['obtain']} */
async function downloadHeadscale(context, folder) {
  const architecture = goArchitecture();
  if (architecture === null) return { unavailable: `not published for ${process.platform} ${process.arch}` };
  const url = `${site}/headscale_${headscaleVersion}_linux_${architecture}`;
  const got = await download(context, { title, url, checksumUrl: `${site}/checksums.txt`, folder });
  if ('unavailable' in got) return got;
  chmodSync(got.file, 0o755);
  renameSync(got.file, join(folder, 'bin', 'headscale'));
  return null;
}

/** @type {import('./tool.mjs').Way['obtain']} */
function buildHeadscale(context, folder) {
  return buildWithGo(context, folder, {
    title,
    module: 'machines/headscale',
    packages: ['github.com/juanfont/headscale/cmd/headscale'],
    flags: ['-ldflags=-s -w'],
    about: 'about 3 minutes on two cores the first time',
  });
}
