import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { pathPastPythonShim } from '../../tools/setup/python-shim.mjs';
import { run } from '../../tools/setup/run.mjs';

/** Folders of a machine, each with a `python3` that only says where it is, or that passes on to another. */
async function machine() {
  const folder = await mkdtemp(join(tmpdir(), 'python-shim-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const place = async (name: string, script: string) => {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'python3'), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, name, 'python3'), 0o755);
  };
  await place('versions', 'echo "$0"');
  await place('shims', `exec ${join(folder, 'versions', 'python3')} "$@"`);
  await mkdir(join(folder, 'others'));
  return (...names: string[]) => names.map((name) => join(folder, name)).join(delimiter);
}

const past = (path: string) => pathPastPythonShim({ env: { PATH: path }, run });

test('the Python that a shim passes on to comes right before the shim', async () => {
  const path = await machine();
  expect(await past(path('others', 'shims'))).toBe(path('others', 'versions', 'shims'));
});

test('a Python that is found without a shim stays where it is, and so does a PATH without one', async () => {
  const path = await machine();
  expect(await past(path('versions', 'others'))).toBe(path('versions', 'others'));
  expect(await past(path('others'))).toBe(path('others'));
});

test('a shim that fails, or says nothing of use, changes nothing', async () => {
  const path = await machine();
  for (const script of ['exit 1', 'echo python3', 'true']) {
    await writeFile(join(path('shims'), 'python3'), `#!/bin/sh\n${script}\n`);
    expect(await past(path('shims'))).toBe(path('shims'));
  }
});
