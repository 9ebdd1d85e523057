import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { cacheDirPath, prepareCacheDir } from '../../tools/setup/cache-dir.mjs';

test.each([
  [{ CACHE_DIR: '/c', XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/c'],
  [{ CACHE_DIR: 'cache', HOME: '/h' }, 'linux', '/clone/cache'],
  [{ CACHE_DIR: '', XDG_CACHE_HOME: '/x', HOME: '/h' }, 'linux', '/x/agent-stacks'],
  [{ XDG_CACHE_HOME: 'relative', HOME: '/h' }, 'linux', '/h/.cache/agent-stacks'],
  [{ XDG_CACHE_HOME: '', HOME: '/h' }, 'linux', '/h/.cache/agent-stacks'],
  [{ HOME: '/h' }, 'darwin', '/h/Library/Caches/agent-stacks'],
] as const)('%j on %s: %s', (env, platform, expected) => {
  expect(cacheDirPath('/clone', env, platform)).toBe(expected);
});

test('the folder is made for its owner alone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cache '));
  onTestFinished(() => rm(folder, { recursive: true }));
  const made = prepareCacheDir('/', { CACHE_DIR: join(folder, 'a', 'b') });
  expect((await stat(made)).mode & 0o777).toBe(0o700);
});

test('a folder that cannot be made gives a message that says what to set', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cache '));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'file'), '');
  const home = join(folder, 'file', 'home');
  expect(() => prepareCacheDir('/', { HOME: home })).toThrow(
    /Cannot write to the folder for tools, .*: ENOTDIR.*\nSet CACHE_DIR/,
  );
});
