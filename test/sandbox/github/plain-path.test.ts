import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { plainPath, removePlainPath } from '../../../sandbox/github/plain-path.ts';
import { makeFolder } from './setup.ts';

test('a path that a shell would take apart has another one by a link, and loses it again', async () => {
  const [folder, links] = [await makeFolder(), await makeFolder()];
  const path = plainPath(folder, links);
  await writeFile(join(path, 'file'), 'words');
  expect(await readdir(folder)).toEqual(['file']);
  expect(plainPath(folder, links)).toBe(path);
  removePlainPath(folder, links);
  expect(await readdir(links)).toEqual([]);
  expect(await readdir(folder)).toEqual(['file']);
});

test('any other path is its own', () => {
  expect(plainPath('/var/lib/agent-stacks/.data/github', '/nowhere')).toBe(
    '/var/lib/agent-stacks/.data/github',
  );
  removePlainPath('/var/lib/agent-stacks/.data/github', '/nowhere');
});

test('what others may write in is not used', async () => {
  const [folder, links] = [await makeFolder(), await makeFolder()];
  const place = join(plainPath(folder, links), '..');
  await chmod(place, 0o777);
  expect(() => plainPath(folder, links)).toThrow(/belongs to somebody else/);
  removePlainPath(folder, links);
  await mkdir(place, { mode: 0o700 });
  await writeFile(join(place, 'link'), 'no link');
  expect(() => plainPath(folder, links)).toThrow();
});
