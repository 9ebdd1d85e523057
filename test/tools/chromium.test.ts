import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ensureChromium } from '../../tools/setup/chromium.mjs';
import { createContext } from '../support/set-up-context.ts';

async function setup({ code = 0, aptGet = true } = {}) {
  const run = vi.fn(async (_command: string, _args: string[]) => ({ code, output: 'E: no network' }));
  const context = await createContext(run);
  if (aptGet) {
    await writeFile(join(context.cacheDir, 'apt-get'), '');
    await chmod(join(context.cacheDir, 'apt-get'), 0o755);
  }
  return { context: { ...context, env: { PATH: context.cacheDir } }, run };
}

test('is installed where it is missing, by root, from the fresh lists', async () => {
  const { context, run } = await setup();
  await ensureChromium(context, { installed: false, isRoot: true });
  const lock = ['-o', 'DPkg::Lock::Timeout=120'];
  expect(run.mock.calls.map(([command, args]) => [command, ...args])).toEqual([
    ['apt-get', ...lock, 'update'],
    ['apt-get', ...lock, 'install', '-y', '--no-install-recommends', 'chromium'],
  ]);
});

test('is left alone where it is there, or may not be installed', async () => {
  const { context, run } = await setup();
  await ensureChromium(context, { installed: true, isRoot: true });
  await ensureChromium(context, { installed: false, isRoot: false });
  const without = await setup({ aptGet: false });
  await ensureChromium(without.context, { installed: false, isRoot: true });
  expect([run.mock.calls, without.run.mock.calls]).toEqual([[], []]);
});

test('is gone without where it cannot be had, and why is said', async () => {
  const { context, run } = await setup({ code: 100 });
  await ensureChromium(context, { installed: false, isRoot: true });
  expect(run).toHaveBeenCalledTimes(1);
  expect(context.said).toEqual(['Installing Chromium', 'not possible here', '    E: no network']);
});
