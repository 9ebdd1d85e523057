import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lastLines, SetupError } from './run.mjs';

/** Pulumi's name of each provider, and the npm package whose version its plugin must match. */
const providers = [
  ['hcloud', '@pulumi/hcloud'],
  ['tailscale', '@pulumi/tailscale'],
  ['command', '@pulumi/command'],
];

/**
 * On a fresh runner: installs the official provider plugins where Pulumi looks for them, except those already
 * there. The sandbox brings its own.
 * @param {import('./set-up.mjs').Context} context
 * @param {string} pulumi  the CLI
 */
export async function ensureProviderPlugins({ root, env, progress, run, signal }, pulumi) {
  if (env.PROVIDERS === 'builtin' || (env.SANDBOX_URL && env.PROVIDERS !== 'official')) return;
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  await progress.step("Installing Pulumi's provider plugins", 'only those that are missing', async (step) => {
    for (const [name, npmPackage] of providers) {
      const { version } = lock.packages[`node_modules/${npmPackage}`];
      step.note(`${name} ${version}`);
      const args = ['plugin', 'install', 'resource', name, version];
      const options = { env: { ...env, PULUMI_SKIP_UPDATE_CHECK: 'true' }, signal };
      const { code, output } = await run(pulumi, args, options);
      if (code !== 0)
        throw new SetupError(
          `Pulumi's plugin ${name} ${version} could not be installed:\n${lastLines(output)}`,
        );
    }
  });
}
