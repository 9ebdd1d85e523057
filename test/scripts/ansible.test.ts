import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { ensureAnsible } from '../../scripts/setup/ansible.mjs';
import { createContext } from './context.ts';

/** Which programs are on PATH, and what the named ones are unable to do. */
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
  const home = join(context.cacheDir, 'ansible-2.19.14');
  expect(await ensureAnsible(context)).toBe(join(home, 'bin'));
  const [command, args] = run.mock.calls.at(-1)!;
  expect(command).toBe(join(home, 'bin', 'python3'));
  expect(args.at(-1)).toBe('ansible-core==2.19.14');
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
