import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines } from '../run.mjs';
import { download, goArchitecture } from './download.mjs';
import { buildWithGo } from './go-build.mjs';
import { ensureTool } from './tool.mjs';
import { tailscaleVersion } from './versions.mjs';

/** @typedef {import('../set-up.mjs').Context} Context */

const title = `Tailscale ${tailscaleVersion}`;
const site = 'https://pkgs.tailscale.com/stable';

/**
 * The programs with which machines, and the controller too, join the tailnet.
 * @param {Context} context
 * @returns {Promise<{ tailscale: string, tailscaled: string }>} their paths
 */
export async function ensureTailscale(context) {
  const bin = await ensureTool(context, {
    title,
    folder: `tailscale-${tailscaleVersion}`,
    programs: ['tailscale', 'tailscaled'],
    ways: [
      { name: 'the official download', obtain: downloadTailscale },
      { name: 'a build from source', obtain: buildTailscale },
    ],
  });
  return { tailscale: join(bin, 'tailscale'), tailscaled: join(bin, 'tailscaled') };
}

/** @type {import('./tool.mjs').Way['obtain']} */
async function downloadTailscale(context, folder) {
  const architecture = goArchitecture();
  if (architecture === null) return { unavailable: `not published for ${process.platform} ${process.arch}` };
  const name = `tailscale_${tailscaleVersion}_${architecture}`;
  const url = `${site}/${name}.tgz`;
  const got = await download(context, { title, url, checksumUrl: `${url}.sha256`, folder });
  if ('unavailable' in got) return got;
  const programs = [`${name}/tailscale`, `${name}/tailscaled`];
  const args = ['-xzf', got.file, '--strip-components=1', '-C', join(folder, 'bin'), ...programs];
  const { code, output } = await context.run('tar', args, { signal: context.signal });
  if (code !== 0) return { unavailable: `the archive could not be unpacked:\n${lastLines(output)}` };
  rmSync(got.file);
  return null;
}

/** @type {import('./tool.mjs').Way['obtain']} */
function buildTailscale(context, folder) {
  const stamp = (/** @type {string} */ name) => `-X tailscale.com/version.${name}=${tailscaleVersion}`;
  return buildWithGo(context, folder, {
    title,
    module: 'machines/tailscale',
    packages: ['tailscale.com/cmd/tailscale', 'tailscale.com/cmd/tailscaled'],
    // Features only for Amazon's cloud and desktops take a good part of the compile time.
    flags: [
      '-tags=ts_omit_aws,ts_omit_kube,ts_omit_systray,ts_omit_desktop_sessions',
      `-ldflags=-s -w ${stamp('longStamp')} ${stamp('shortStamp')}`,
    ],
    about: 'about 3 minutes on two cores the first time',
  });
}
