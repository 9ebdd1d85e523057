// Run in the image's first stage: installs the packages and programs that the service needs, in the versions
// that this clone pins, at their final paths. What is in /var/cache/agent-stacks, laid out as CACHE_DIR, is
// used instead of a download.
import { chmodSync, copyFileSync, globSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ensureAnsible } from '../../tools/setup/ansible.mjs';
import { ensureDependencies } from '../../tools/setup/dependencies.mjs';
import { ensureTailscale } from '../../tools/setup/machines/tailscale.mjs';
import { createProgress } from '../../tools/setup/progress.mjs';
import { ensureProviderPlugins } from '../../tools/setup/provider-plugins.mjs';
import { ensurePulumi } from '../../tools/setup/pulumi.mjs';
import { run } from '../../tools/setup/run.mjs';
import { root } from '../../tools/setup/set-up.mjs';

const programs = join(root, 'programs');
const cacheDir = '/var/cache/agent-stacks';
const env = { ...process.env, PULUMI_HOME: '/tmp/pulumi-home' };
const context = { root, cacheDir, env, progress: createProgress(), run };
for (const folder of [cacheDir, join(programs, 'bin'), env.PULUMI_HOME])
  mkdirSync(folder, { recursive: true });

await ensureDependencies(context, undefined, { dev: false });
// Types, source maps and manuals of packages: nothing reads them here.
remove('node_modules/**/*.{map,d.ts,d.mts,d.cts,md}');

const pulumi = await ensurePulumi(context);
const tailscale = await ensureTailscale(context);
for (const [name, path] of Object.entries({ pulumi, ...tailscale })) {
  copyFileSync(path, join(programs, 'bin', name));
  chmodSync(join(programs, 'bin', name), 0o755);
}
if (env.PROVIDERS !== 'none') {
  await ensureProviderPlugins(context, pulumi);
  // Beside the CLI, which looks there first: PULUMI_HOME is then free to be a folder that can be written.
  for (const path of globSync('plugins/resource-*/pulumi-resource-*', { cwd: env.PULUMI_HOME }))
    copyFileSync(join(env.PULUMI_HOME, path), join(programs, 'bin', basename(path)));
}
rmSync(env.PULUMI_HOME, { recursive: true, force: true });

// An environment's programs contain its path, so it is made where it stays.
const ansible = dirname(await ensureAnsible({ ...context, cacheDir: programs }));
symlinkSync(basename(ansible), join(programs, 'ansible'));
remove('programs/ansible-*/lib/python3*/site-packages/{pip,pip-*}');
rmSync(join(programs, 'claims'), { recursive: true, force: true });

/** @param {string} pattern */
function remove(pattern) {
  for (const path of globSync(pattern, { cwd: root })) rmSync(join(root, path), { recursive: true });
}
