import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { compileCacheDir } from '../../tools/setup/compile-cache.mjs';

async function cacheDir(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cache '));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

const MONTH_MS = 31 * 24 * 3600 * 1000;

test('Node keeps compiled code in it', async () => {
  const folder = await cacheDir();
  const script = join(folder, 'script.mjs');
  await writeFile(script, `export {}; globalThis.text = ${JSON.stringify('x'.repeat(5000))};`);
  const compiled = compileCacheDir('/', { CACHE_DIR: folder })!;
  expect(compiled).toBe(join(folder, 'compiled'));
  const { status } = spawnSync(process.execPath, [script], { env: { NODE_COMPILE_CACHE: compiled } });
  expect(status).toBe(0);
  expect(await readdir(compiled)).toHaveLength(1);
});

test('there is none before the folder for tools exists', () => {
  expect(compileCacheDir('/', { CACHE_DIR: '/does/not/exist' })).toBeUndefined();
});

test('it is emptied when it is a month old', async () => {
  const folder = await cacheDir();
  await mkdir(join(folder, 'compiled', 'v24'), { recursive: true });
  compileCacheDir('/', { CACHE_DIR: folder });
  expect(existsSync(join(folder, 'compiled', 'v24'))).toBe(true);
  compileCacheDir('/', { CACHE_DIR: folder }, Date.now() + MONTH_MS);
  expect(existsSync(join(folder, 'compiled'))).toBe(false);
});
