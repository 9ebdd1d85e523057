import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { ensureDependencies } from '../../scripts/setup/dependencies.mjs';
import { createContext } from './context.ts';

const lock = (version: string) =>
  JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { version },
      'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['plan9'], cpu: ['mips'] },
    },
  });

let root: string;
let npmCalls: string[];
let context: Parameters<typeof ensureDependencies>[0] & { said: string[] };

beforeEach(async () => {
  npmCalls = [];
  const run = vi.fn(async (command: string, args: string[]) => {
    const node = join(root, 'node_modules/.bin/node');
    if (command === node)
      return existsSync(node) ? { code: 0, output: 'v24.21.0\n' } : { code: 127, output: '' };
    npmCalls.push(args.join(' '));
    if (args[0] === 'ci') await installByHand('1.0.0', { node: false });
    if (args[0] === 'rebuild') await writeFile(node, '');
    return { code: 0, output: '' };
  });
  const created = await createContext(run);
  root = created.cacheDir;
  context = { ...created, root };
  await writeFile(join(root, 'package-lock.json'), lock('1.0.0'));
});

async function installByHand(version: string, { node }: { node: boolean }) {
  await rm(join(root, 'node_modules'), { recursive: true, force: true });
  await mkdir(join(root, 'node_modules', '.bin'), { recursive: true });
  await mkdir(join(root, 'node_modules', 'node'));
  await writeFile(join(root, 'node_modules', '.package-lock.json'), lock(version));
  if (node) await writeFile(join(root, 'node_modules/.bin/node'), '');
}

test('a fresh clone: npm ci without scripts, then only those that are needed; then nothing more', async () => {
  await ensureDependencies(context);
  expect(npmCalls).toEqual([
    'ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund --loglevel=error',
    'rebuild --ignore-scripts=false node --no-audit --no-fund --loglevel=error',
  ]);
  context.said.length = 0;
  await ensureDependencies(context);
  expect(npmCalls).toHaveLength(2);
  expect(context.said).toEqual([]);
});

test('another package-lock.json means another npm ci', async () => {
  await ensureDependencies(context);
  await writeFile(join(root, 'package-lock.json'), lock('1.0.1'));
  await ensureDependencies(context);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(2);
});

test('what somebody has installed by hand is taken as it is', async () => {
  await installByHand('1.0.0', { node: true });
  await ensureDependencies(context);
  expect(npmCalls).toEqual([]);
});

test('what was installed by hand without scripts is finished', async () => {
  await installByHand('1.0.0', { node: false });
  await ensureDependencies(context);
  expect(npmCalls).toEqual([expect.stringMatching(/^rebuild/)]);
});

test('other versions than the locked ones, or an installation that broke off, are installed anew', async () => {
  await installByHand('0.9.0', { node: true });
  await ensureDependencies(context);
  expect(npmCalls[0]).toMatch(/^ci/);
  await rm(join(root, 'node_modules', '.agent-stacks-stamp'));
  await rm(join(root, 'node_modules', '.package-lock.json'));
  await ensureDependencies(context);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(2);
});

test('two at once install once', async () => {
  await Promise.all([ensureDependencies(context), ensureDependencies(context)]);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(1);
});

test("npm's own words are shown when it fails", async () => {
  const run = async () => ({ code: 1, output: 'npm error network' });
  await expect(ensureDependencies({ ...context, run })).rejects.toThrow(
    /npm ci failed:\n {4}npm error network/,
  );
});
