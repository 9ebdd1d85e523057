import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findMirror } from './machines/debian-mirror.mjs';
import { debianKeyring } from './machines/host-packages.mjs';
import { hostProblem } from './machines/usable.mjs';
import { findProgram, Interrupted, lastLines, SetupError } from './run.mjs';

/** @typedef {import('./set-up.mjs').Context} Context */

/**
 * What the tests build the image with: arguments that select buildah's storage, the two images that the
 * Containerfile begins with, and a folder laid out as CACHE_DIR whose programs need not be downloaded.
 * @typedef {{ storage: string[], debian: string, node: string, cache: string } | { missing: string }}
 * ImageTools
 */

const official = {
  debian: 'docker.io/library/debian:12-slim',
  node: 'docker.io/library/node:24-bookworm-slim',
};
/**
 * Where no registry of images can be reached: the same Debian from its own mirror, with the Node that we pin.
 */
const own = { debian: 'localhost/agent-stacks-debian:12', node: 'localhost/agent-stacks-node:24' };

const PULL_LIMIT_MS = 180_000;

/**
 * For the tests: buildah with its images. As root alone: without it, buildah needs ranges of ids that few
 * hosts have.
 * @param {Context} given
 * @returns {Promise<ImageTools>}
 */
export async function ensureImageTools(given) {
  const problem = hostProblem();
  if (problem !== null) return { missing: problem };
  const context = { ...given, env: { ...given.env, PATH: `${given.env.PATH}:/usr/sbin:/sbin` } };
  if (!(await ensureBuildah(context))) return { missing: 'buildah is missing: apt-get install buildah' };
  const folder = join(context.cacheDir, 'images');
  mkdirSync(folder, { recursive: true });
  const storage = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run')];
  try {
    const images = await ensureImages(context, storage);
    return { storage, ...images, cache: context.cacheDir };
  } catch (error) {
    if (error instanceof SetupError) return { missing: error.message };
    throw error;
  }
}

/** @param {Context} context */
async function ensureBuildah({ env, progress, run, signal }) {
  if (findProgram('buildah', env) !== null) return true;
  if (findProgram('apt-get', env) === null) return false;
  await progress.step('Installing buildah', 'the tests build the image with it', async (step) => {
    const options = { env: { ...env, DEBIAN_FRONTEND: 'noninteractive' }, signal };
    const aptGet = (/** @type {string[]} */ ...words) =>
      run('apt-get', ['-o', 'DPkg::Lock::Timeout=120', ...words], options);
    // Without its recommendations: the tests need no way to run containers but buildah's own.
    const { code } = await aptGet('install', '-y', '--no-install-recommends', 'buildah');
    if (code === 0) return;
    await aptGet('update');
    const again = await aptGet('install', '-y', '--no-install-recommends', 'buildah');
    if (again.code !== 0) step.outcome('not possible here');
  });
  return findProgram('buildah', env) !== null;
}

/**
 * @param {Context} context
 * @param {string[]} storage
 * @returns {Promise<{ debian: string, node: string }>}
 */
async function ensureImages(context, storage) {
  for (const images of [official, own])
    if ((await has(context, storage, images.debian)) && (await has(context, storage, images.node)))
      return images;
  if (await pull(context, storage)) return official;
  await context.progress.step(
    'Making base images',
    'from Debian’s mirror, because no registry of images is available; about a minute',
    async () => {
      await makeDebian(context, storage);
      await makeNode(context, storage);
    },
  );
  return own;
}

/**
 * @param {Context} context
 * @param {string[]} storage
 * @param {string} image
 */
async function has({ env, run, signal }, storage, image) {
  const { code } = await run('buildah', [...storage, 'inspect', '--type', 'image', image], { env, signal });
  return code === 0;
}

/**
 * @param {Context} context
 * @param {string[]} storage
 */
function pull({ env, progress, run, signal }, storage) {
  return progress.step('Pulling base images', 'the image is built on them', async (step) => {
    const limit = AbortSignal.timeout(PULL_LIMIT_MS);
    try {
      for (const image of [official.debian, official.node]) {
        const options = { env, signal: signal === undefined ? limit : AbortSignal.any([signal, limit]) };
        const { code } = await run('buildah', [...storage, 'pull', '--quiet', image], options);
        if (code !== 0) {
          step.outcome('not available');
          return false;
        }
      }
      return true;
    } catch (error) {
      if (!(error instanceof Interrupted) || signal?.aborted) throw error;
      step.outcome('not available (too slow)');
      return false;
    }
  });
}

/**
 * @param {Context} context
 * @param {string[]} storage
 */
async function makeDebian(context, storage) {
  const { url, env } = await findMirror(context);
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-debian-'));
  try {
    const root = join(folder, 'root');
    const checked = ['--force-check-gpg', `--keyring=${debianKeyring}`];
    await must({ ...context, env }, 'debootstrap', ['--variant=minbase', ...checked, 'bookworm', root, url]);
    for (const path of ['var/cache/apt/archives', 'var/lib/apt/lists'])
      rmSync(join(root, path), { recursive: true, force: true });
    await commit(context, storage, { from: 'scratch', image: own.debian, copy: [[root, '/']] });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * @param {Context} context
 * @param {string[]} storage
 */
async function makeNode(context, storage) {
  const { root, env } = context;
  const npm = dirname(dirname(npmProgram(env)));
  const folder = mkdtempSync(join(tmpdir(), 'agent-stacks-node-'));
  try {
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    cpSync(join(root, 'node_modules/node/bin/node'), join(bin, 'node'), { dereference: true });
    const script =
      '#!/bin/sh\nexec /usr/local/bin/node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n';
    writeFileSync(join(bin, 'npm'), script, { mode: 0o755 });
    /** @type {[string, string][]} */
    const copy = [
      [bin, '/usr/local/bin'],
      [npm, '/usr/local/lib/node_modules/npm'],
    ];
    await commit(context, storage, { from: own.debian, image: own.node, copy });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {NodeJS.ProcessEnv} env */
function npmProgram(env) {
  const found = env.npm_execpath ?? join(dirname(process.execPath), '../lib/node_modules/npm/bin/npm-cli.js');
  if (!found.endsWith('npm-cli.js')) throw new SetupError('The image is built with npm, which was not found');
  return found;
}

/**
 * @param {Context} context
 * @param {string[]} storage
 * @param {{ from: string, image: string, copy: [string, string][] }} wanted
 */
async function commit(context, storage, { from, image, copy }) {
  const container = `agent-stacks-${process.pid}`;
  const buildah = (/** @type {string[]} */ ...args) => must(context, 'buildah', [...storage, ...args]);
  await buildah('from', '--name', container, from);
  try {
    for (const [source, target] of copy) await buildah('copy', '--quiet', container, source, target);
    await buildah('commit', '--quiet', container, image);
  } finally {
    await buildah('rm', container);
  }
}

/**
 * @param {Context} context
 * @param {string} command
 * @param {string[]} args
 */
async function must({ env, run, signal }, command, args) {
  const { code, output } = await run(command, args, { env, signal });
  if (code !== 0) throw new SetupError(`${command} failed:\n${lastLines(output)}`);
}
