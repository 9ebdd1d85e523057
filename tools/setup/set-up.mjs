import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { complain, complainOfUnexpected } from '../../src/processes/terminal-text.mjs';
import { ensureAnsible } from './ansible.mjs';
import { ensureAnsibleLint } from './ansible-lint.mjs';
import { prepareCacheDir } from './cache-dir.mjs';
import { ensureChromium } from './chromium.mjs';
import { compileCacheDir } from './compile-cache.mjs';
import { ensureDependencies } from './dependencies.mjs';
import { addEnvironmentFile } from './environment-file.mjs';
import { findTools } from './find-tools.mjs';
import { act, actionlint, ensurePublished, helm, promtool, tryPublished } from './github-tools.mjs';
import { ensureHetznerClient } from './hetzner-client.mjs';
import { ensureImageTools } from './image-tools.mjs';
import { ensureMachines } from './machines/machines.mjs';
import { ensureMoto } from './moto.mjs';
import { ensurePgbouncer } from './pgbouncer.mjs';
import { createProgress } from './progress.mjs';
import { ensureProviderPlugins } from './provider-plugins.mjs';
import { ensurePulumi } from './pulumi.mjs';
import { Interrupted, run, SetupError } from './run.mjs';
import { ensureSchemas } from './schemas.mjs';
import { ensureSchemathesis } from './schemathesis.mjs';
import { ensureShellcheck } from './shellcheck.mjs';

/**
 * The context of every step.
 * @typedef {{
 *   root: string,
 *   cacheDir: string,
 *   env: NodeJS.ProcessEnv,
 *   progress: import('./progress.mjs').Progress,
 *   run: import('./run.mjs').Run,
 *   signal?: AbortSignal | undefined,
 * }} Context
 */

/**
 * Tools that can be set up beside the packages. `chromium`, `hetzner-client`, `ansible-lint`, `shellcheck`,
 * `github-tools`, `promtool`, `moto`, `schemathesis`, `packaging` and `pgbouncer` are for the tests, which
 * run
 * without them too; `machines` is optional for everything.
 * @typedef {'pulumi' | 'ansible' | 'provider-plugins' | 'act' | 'chromium' | 'hetzner-client'
 *   | 'ansible-lint' | 'shellcheck' | 'github-tools' | 'promtool' | 'machines' | 'moto'
 *   | 'schemathesis' | 'packaging' | 'pgbouncer'} Tool
 */

/**
 * `tools`: beside the packages. `readsConfiguration`: the next program reads the configuration and
 * reports all its problems in one message. `leavesEnvironmentFile`: the variables of ENV_FILE are not added.
 * @typedef {{ tools: Tool[], readsConfiguration?: boolean, leavesEnvironmentFile?: boolean }} Wanted
 */

/** The clone's top folder. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Sets up the requested tools, reports what takes time, and returns the environment for the next program.
 * Quiet if everything is there. Every command also finds the tools that other commands have set up, so that
 * all see the same machine. If something is lacking it ends the process with a message; on Ctrl-C it ends
 * what it started and exits with the usual code.
 * @param {Wanted} wanted
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
export async function setUp(wanted) {
  const interrupt = new AbortController();
  let exitCode = 130;
  const onInterrupt = () => interrupt.abort();
  const onTerminate = () => {
    exitCode = 143;
    interrupt.abort();
  };
  process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate).on('SIGHUP', onTerminate);
  try {
    return await setUpAll(wanted, interrupt.signal);
  } catch (error) {
    if (error instanceof Interrupted) process.exit(exitCode);
    if (error instanceof SetupError) complain(`\n${error.message}`);
    else complainOfUnexpected(error);
    process.exit(1);
  } finally {
    process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate).off('SIGHUP', onTerminate);
  }
}

const TEMPORARY_FOLDERS = ['TMPDIR', 'TMP', 'TEMP'];

/**
 * Checked here, because a missing folder makes each program that needs it fail later and in its own way.
 * @param {NodeJS.ProcessEnv} env
 */
export function checkTemporaryFolder(env) {
  const name = TEMPORARY_FOLDERS.find((variable) => env[variable]);
  if (name === undefined) return;
  try {
    accessSync(join(/** @type {string} */ (env[name]), '.'), constants.W_OK | constants.X_OK);
  } catch {
    throw new SetupError(
      `${name} names ${env[name]}, which is not a writable folder. Create it, or unset ${name}.`,
    );
  }
}

/**
 * The folder for temporary files is left to the configuration's own message where there is one.
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @returns {Promise<NodeJS.ProcessEnv>}
 */
async function setUpAll(wanted, signal) {
  const env = { ...process.env };
  if (wanted.leavesEnvironmentFile !== true) addEnvironmentFile(env);
  try {
    checkTemporaryFolder(env);
  } catch (error) {
    if (!wanted.readsConfiguration) throw error;
    const given = TEMPORARY_FOLDERS.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]));
    // The set-up itself does without.
    for (const name of TEMPORARY_FOLDERS) for (const one of [env, process.env]) delete one[name];
    return { ...(await setUpTools(wanted, env, signal)), ...Object.fromEntries(given) };
  }
  return setUpTools(wanted, env, signal);
}

/**
 * Programs that check something from outside.
 * @param {Wanted} wanted
 * @param {Context} context
 */
async function setUpTestTools(wanted, context) {
  const { env } = context;
  if (wanted.tools.includes('chromium')) await ensureChromium(context);
  if (wanted.tools.includes('ansible-lint'))
    env.AGENT_STACKS_ANSIBLE_LINT = (await ensureAnsibleLint(context)) ?? '';
  if (wanted.tools.includes('shellcheck'))
    env.AGENT_STACKS_SHELLCHECK = (await ensureShellcheck(context)) ?? '';
  if (wanted.tools.includes('hetzner-client'))
    env.AGENT_STACKS_HETZNER_PYTHON = (await ensureHetznerClient(context)) ?? '';
  if (wanted.tools.includes('schemathesis'))
    env.AGENT_STACKS_SCHEMATHESIS = (await ensureSchemathesis(context)) ?? '';
  if (wanted.tools.includes('pgbouncer')) env.AGENT_STACKS_PGBOUNCER = (await ensurePgbouncer(context)) ?? '';
  if (wanted.tools.includes('moto')) env.AGENT_STACKS_MOTO = (await ensureMoto(context)) ?? '';
}

/**
 * @param {Wanted} wanted
 * @param {NodeJS.ProcessEnv} env
 * @param {AbortSignal} signal
 */
async function setUpTools(wanted, env, signal) {
  // Every command looks for them again: they may have been set up since.
  delete env.AGENT_STACKS_MACHINE_TOOLS;
  const progress = createProgress();
  const context = { root, env, progress, run, signal, cacheDir: '' };
  if (Number(process.versions.node.split('.')[0]) < 20) {
    throw new SetupError(`Node 20 or newer is required; this is ${process.version}.`);
  }
  await ensureDependencies(context);
  env.PATH = [join(root, 'node_modules', '.bin'), env.PATH].filter(Boolean).join(delimiter);
  if (wanted.tools.length > 0) {
    context.cacheDir = prepareCacheDir(root, env);
    env.CACHE_DIR = context.cacheDir;
  }
  env.NODE_COMPILE_CACHE ??= compileCacheDir(root, env);
  if (wanted.tools.length === 0) return findTools(context);
  if (wanted.tools.includes('ansible')) env.AGENT_STACKS_ANSIBLE = await ensureAnsible(context);
  if (wanted.tools.includes('pulumi')) env.AGENT_STACKS_PULUMI = await ensurePulumi(context);
  if (wanted.tools.includes('provider-plugins'))
    await ensureProviderPlugins(context, /** @type {string} */ (env.AGENT_STACKS_PULUMI));
  if (wanted.tools.includes('act')) env.AGENT_STACKS_ACT = await ensurePublished(context, act);
  if (wanted.tools.includes('github-tools')) {
    env.AGENT_STACKS_ACT = (await tryPublished(context, act)) ?? '';
    env.AGENT_STACKS_ACTIONLINT = (await tryPublished(context, actionlint)) ?? '';
  }
  if (wanted.tools.includes('promtool'))
    env.AGENT_STACKS_PROMTOOL = (await tryPublished(context, promtool)) ?? '';
  await setUpTestTools(wanted, context);
  if (wanted.tools.includes('machines')) {
    const machines = await ensureMachines(context);
    if ('missing' in machines)
      progress.say(`Real machines are not available: ${machines.missing.join('; ')}`);
    env.AGENT_STACKS_MACHINE_TOOLS = JSON.stringify(machines);
  }
  // After the machines, whose Debian packages it may need.
  if (wanted.tools.includes('packaging')) await setUpPackaging(context);
  return findTools(context);
}

/** @param {Context} context */
async function setUpPackaging(context) {
  const { env } = context;
  env.AGENT_STACKS_HELM = (await tryPublished(context, helm)) ?? '';
  env.AGENT_STACKS_SCHEMAS = (await ensureSchemas(context)) ?? '';
  env.AGENT_STACKS_IMAGE_TOOLS = JSON.stringify(await ensureImageTools(context));
}
