import { chmod, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { ensureAnsible, findAnsible } from '../../tools/setup/ansible.mjs';
import { createContext } from '../support/set-up-context.ts';

/** Sets up which programs are on the PATH, and what some of them cannot do. */
async function setup(programs: string[], unable: Record<string, 'venv' | 'old'> = {}, pipCode = 0) {
  const run = vi.fn(async (command: string, args: string[]) => {
    const name = command.split('/').at(-1)!;
    const words = args.join(' ');
    if (words.includes('version_info')) return { code: unable[name] === 'old' ? 1 : 0, output: '' };
    if (words.includes('ensurepip')) return { code: unable[name] === 'venv' ? 1 : 0, output: '' };
    if (words.includes('pip install')) return { code: pipCode, output: 'no such version' };
    await mkdir(join(args.at(-1)!, 'bin'), { recursive: true });
    await writeFile(join(args.at(-1)!, 'bin', 'python3'), '');
    return { code: 0, output: '' };
  });
  const context = await createContext(run);
  const path = join(context.cacheDir, 'on path');
  await mkdir(path);
  for (const name of programs) {
    await writeFile(join(path, name), '');
    await chmod(join(path, name), 0o755);
  }
  const commands = () =>
    run.mock.calls.map(([command, args]) => `${command.split('/').at(-1)} ${args.slice(0, 2).join(' ')}`);
  return { context: { ...context, env: { PATH: path, PYTHONPATH: '/x' } }, run, commands };
}

test('an environment of its own with the pinned version, made once', async () => {
  const { context, run } = await setup(['python3']);
  const bin = await ensureAnsible(context);
  expect(bin).toMatch(/\/ansible-2\.19\.14-[0-9a-f]{8}\/bin$/);
  const [command, args] = run.mock.calls.at(-1)!;
  expect(command).toBe(join(bin, 'python3'));
  expect(args.slice(-3)).toEqual([
    '--require-hashes',
    '-r',
    join(context.root, 'tools/setup/python/ansible.txt'),
  ]);
  const calls = run.mock.calls.length;
  await ensureAnsible(context);
  expect(run.mock.calls.length).toBe(calls);
});

test('a Python that is too old, or cannot make environments, is passed over for another', async () => {
  const { context, commands } = await setup(['python3', 'python3.12', 'python3.11'], {
    python3: 'old',
    'python3.12': 'venv',
  });
  await ensureAnsible(context);
  expect(commands().filter((line) => line.includes('-m venv'))).toEqual(['python3.11 -m venv']);
});

test('virtualenv does where Python cannot', async () => {
  const { context, commands } = await setup(['python3', 'virtualenv'], { python3: 'venv' });
  await ensureAnsible(context);
  expect(commands()).toContain('virtualenv --quiet --python');
});

test('what is lacking is said with the command that installs it', async () => {
  const withoutVenv = await setup(['python3'], { python3: 'venv' });
  await expect(ensureAnsible(withoutVenv.context)).rejects.toThrow(/apt-get install python3-venv/);
  const withoutPython = await setup([]);
  await expect(ensureAnsible(withoutPython.context)).rejects.toThrow(/needs Python 3\.11 or newer/);
});

test('a failed installation says why and leaves nothing', async () => {
  const { context } = await setup(['python3'], {}, 1);
  await expect(ensureAnsible(context)).rejects.toThrow(/from PyPI:\n {4}no such version/);
  expect((await readdir(context.cacheDir)).toSorted()).toEqual(['claims', 'on path']);
});

test('a cache that is reached by another path is the same cache', async () => {
  const { context, run } = await setup(['python3']);
  const bin = await ensureAnsible(context);
  const link = `${context.cacheDir} link`;
  await symlink(context.cacheDir, link);
  onTestFinished(() => rm(link));
  const calls = run.mock.calls.length;
  expect(await ensureAnsible({ ...context, cacheDir: link })).toBe(bin);
  expect(findAnsible({ cacheDir: link })).toBe(bin);
  expect(run.mock.calls.length).toBe(calls);
});

test('an environment that was finished for another path is left as it is', async () => {
  const { context } = await setup(['python3']);
  const first = await ensureAnsible(context);
  // As from another mount: its programs contain a path that does not exist here.
  const mark = join(first, '..', '.complete');
  await writeFile(mark, '/elsewhere/ansible');
  await writeFile(join(first, 'ansible-playbook'), 'in use');
  const second = await ensureAnsible(context);
  expect(second).toBe(first.replace(/\/bin$/, '.2/bin'));
  expect(await readFile(join(first, 'ansible-playbook'), 'utf8')).toBe('in use');
  expect(await ensureAnsible(context)).toBe(second);
  await rename(join(second, '..'), `${join(second, '..')}.moved`);
  expect(await ensureAnsible(context)).toBe(second);
});

test('what a killed set-up has left is made again', async () => {
  const { context } = await setup(['python3']);
  const bin = await ensureAnsible(context);
  await rm(join(bin, '..', '.complete'));
  await writeFile(join(bin, 'left'), '');
  expect(await ensureAnsible(context)).toBe(bin);
  expect(await readdir(bin)).toEqual(['python3']);
});

test.each([
  ['ansible', 4],
  ['ansible-lint', 4],
  ['hcloud', 4],
  ['moto', 4],
  ['shellcheck', 1],
] as const)('%s and all that it needs are pinned, each with hashes', async (name, atLeast) => {
  const text = await readFile(join(import.meta.dirname, `../../tools/setup/python/${name}.txt`), 'utf8');
  const pins = text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  expect(pins.length).toBeGreaterThanOrEqual(atLeast);
  for (const pin of pins) expect(pin).toMatch(/^[a-z0-9-]+==\S+ .*--hash=sha256:[0-9a-f]{64}/);
});
