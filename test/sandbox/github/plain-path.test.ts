import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plainPath, removePlainPath } from '../../../sandbox/github/plain-path.ts';
import { makeFolder } from '../../support/sandbox-github.ts';

test('a path with blanks gets a plain one through a link, which can be removed', async () => {
  const [folder, links] = [await makeFolder(), await makeFolder()];
  const path = plainPath(folder, links);
  await writeFile(join(path, 'file'), 'words');
  expect(await readdir(folder)).toEqual(['file']);
  expect(plainPath(folder, links)).toBe(path);
  removePlainPath(folder, links);
  expect(await readdir(links)).toEqual([]);
  expect(await readdir(folder)).toEqual(['file']);
});

test('a plain path stays as it is', () => {
  expect(plainPath('/var/lib/agent-stacks/.data/github', '/nowhere')).toBe(
    '/var/lib/agent-stacks/.data/github',
  );
  removePlainPath('/var/lib/agent-stacks/.data/github', '/nowhere');
});

test('a folder that other users can write to is not used', async () => {
  const [folder, links] = [await makeFolder(), await makeFolder()];
  const linkFolder = join(plainPath(folder, links), '..');
  await chmod(linkFolder, 0o777);
  expect(() => plainPath(folder, links)).toThrow(/belongs to another user/);
  removePlainPath(folder, links);
  await mkdir(linkFolder, { mode: 0o700 });
  await writeFile(join(linkFolder, 'link'), 'no link');
  expect(() => plainPath(folder, links)).toThrow();
});
