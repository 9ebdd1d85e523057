import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { root } from '../../tools/setup/set-up.mjs';

interface Entry {
  version?: string;
  integrity?: string;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

// A lock file written where the registry lacks other platforms' packages omits them, and `npm ci` refuses it.
test('package-lock.json names every package that another needs, for every platform', async () => {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Entry>;
  };
  const missing = Object.entries(packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }).filter(
      (name) => !placesOf(path, name).some((place) => place in packages),
    ),
  );
  expect(missing).toEqual([]);
});

test('package-lock.json has a hash of every package', async () => {
  const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Entry>;
  };
  const without = Object.entries(packages).filter(
    ([path, { integrity }]) => path !== '' && !integrity?.startsWith('sha512-'),
  );
  expect(without.map(([path]) => path)).toEqual([]);
});

test('Node is pinned in the version of the lock', async () => {
  const text = await readFile(join(root, 'package-lock.json'), 'utf8');
  const { version } = JSON.parse(text).packages['node_modules/node'];
  expect(await readFile(join(root, 'tools/setup/node-program.mjs'), 'utf8')).toContain(`'${version}'`);
});

/** Where Node looks for a dependency of the package at `path`. */
function placesOf(path: string, name: string): string[] {
  const places = [];
  for (
    let folder = path;
    folder !== '';
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))
  ) {
    places.push(`${folder}/node_modules/${name}`);
  }
  return [...places, `node_modules/${name}`];
}
