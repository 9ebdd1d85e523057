import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/config/config.ts';
import { ensureAnsible } from '../../tools/setup/ansible.mjs';
import { findTools } from '../../tools/setup/find-tools.mjs';
import { basePath } from '../../tools/setup/machines/base.mjs';
import { hostProblem } from '../../tools/setup/machines/usable.mjs';
import { run } from '../../tools/setup/run.mjs';
import { checkTemporaryFolder, root } from '../../tools/setup/set-up.mjs';
import { createContext } from '../support/set-up-context.ts';

async function program(path: string) {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, '');
  await chmod(path, 0o755);
}

/** A cache with everything set up, and a host with all that machines need. */
async function prepared() {
  const context = await createContext(async (_command, args) => {
    if (args.includes('venv')) await program(join(args.at(-1)!, 'bin', 'python3'));
    return { code: 0, output: '' };
  });
  const { cacheDir } = context;
  const path = join(cacheDir, 'on path');
  for (const name of [
    'systemd-nspawn',
    'debootstrap',
    'ip',
    'nft',
    'mount',
    'unshare',
    'nsenter',
    'setpriv',
    'python3',
  ])
    await program(join(path, name));
  for (const name of [
    'headscale-0.29.3/bin/headscale',
    'tailscale-1.102.5/bin/tailscale',
    'tailscale-1.102.5/bin/tailscaled',
  ])
    await program(join(cacheDir, name));
  for (const name of ['pulumi-3.259.0/bin/pulumi', 'act-0.2.89/bin/act']) await program(join(cacheDir, name));
  await program(join(basePath(cacheDir), '.complete'));
  const ansible = await ensureAnsible({ ...context, env: { PATH: path } });
  return { context, ansible, env: { PATH: path, CACHE_DIR: cacheDir } };
}

test.skipIf(hostProblem() !== null)(
  'what was set up before is found for a command that sets nothing up',
  async () => {
    const { context, ansible, env } = await prepared();
    const found = await findTools({ ...context, cacheDir: '', env: { ...env, SANDBOX_MACHINES: 'real' } });
    expect(found).toMatchObject({
      AGENT_STACKS_ANSIBLE: ansible,
      AGENT_STACKS_PULUMI: join(context.cacheDir, 'pulumi-3.259.0/bin/pulumi'),
      AGENT_STACKS_ACT: join(context.cacheDir, 'act-0.2.89/bin/act'),
    });
    // As `npm run agents -- ssh` reads it.
    const config = readConfig(found);
    expect(config.tools.machines).toMatchObject({ base: join(basePath(context.cacheDir), 'root') });
  },
);

test.skipIf(hostProblem() !== null)(
  'so `npm run agents -- ssh` knows of real machines as `npm start` does',
  async ({ skip }) => {
    const { context } = await prepared();
    const env = {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      CACHE_DIR: context.cacheDir,
      DATA_DIR: join(context.cacheDir, 'data'),
      SANDBOX_MACHINES: 'real',
    };
    const machines = JSON.parse(
      (await findTools({ ...context, run, env: { ...env } })).AGENT_STACKS_MACHINE_TOOLS!,
    );
    if (machines.missing !== undefined) skip(`this host has none: ${machines.missing}`);
    const script = join(root, 'tools/agents.mjs');
    const { output } = await run(process.execPath, [script, 'ssh', 'somebody'], { cwd: root, env });
    expect(output).toContain(`No service is running on ${env.DATA_DIR}`);
    expect(output).not.toContain('not set up');
  },
  60_000,
);

test('where nothing was set up nothing is found, and nothing is made', async () => {
  const context = await createContext(run);
  const env = { PATH: '/nowhere', CACHE_DIR: join(context.cacheDir, 'none') };
  const found = await findTools({ ...context, cacheDir: '', env });
  expect(Object.keys(found).sort()).toEqual(['AGENT_STACKS_MACHINE_TOOLS', 'CACHE_DIR', 'PATH']);
});

test('a folder for temporary files that is not there is named, whichever variable names it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'temporary '));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const env of [{}, { TMPDIR: '' }, { TMPDIR: folder }]) checkTemporaryFolder(env);
  expect(() => checkTemporaryFolder({ TMPDIR: join(folder, 'none') })).toThrow(
    /^TMPDIR names .*none, which is not a writable folder/,
  );
  await writeFile(join(folder, 'file'), '');
  expect(() => checkTemporaryFolder({ TEMP: join(folder, 'file') })).toThrow(/^TEMP names/);
});
