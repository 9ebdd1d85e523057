import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import { ensureDependencies } from '../../tools/setup/dependencies.mjs';
import { nodeIntegrity } from '../../tools/setup/node-program.mjs';
import { run as runReally } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

const lock = (version: string) =>
  JSON.stringify({
    packages: {
      '': {},
      'node_modules/a': { version, integrity: 'sha512-a' },
      'node_modules/elsewhere': {
        version: '1.0.0',
        integrity: 'sha512-b',
        optional: true,
        os: ['plan9'],
        cpu: ['mips'],
      },
    },
  });

let root: string;
let npmCalls: string[];
/** The registry's archive of Node's package, and the pinned hash. */
let published: Buffer;
let machine: NonNullable<Parameters<typeof ensureDependencies>[1]>;
let context: Parameters<typeof ensureDependencies>[0] & { said: string[] };

beforeEach(async () => {
  npmCalls = [];
  const run = vi.fn(async (command: string, args: string[]) => {
    const node = join(root, 'node_modules/.bin/node');
    if (command === node)
      return existsSync(node) ? { code: 0, output: 'v24.21.0\n' } : { code: 127, output: '' };
    if (command === 'tar') return runReally(command, args);
    npmCalls.push(args.join(' '));
    if (args[0] === 'ci') await installByHand('1.0.0', { node: false });
    if (args[0] === 'pack') await packNode(args);
    return { code: 0, output: '' };
  });
  const created = await createContext(run);
  root = created.cacheDir;
  published = await packageOf('the program');
  machine = {
    platform: 'linux-test',
    running: 'v20.0.0',
    integrity: { 'linux-test': integrityOf(published) },
  };
  context = { ...created, root };
  await writeFile(join(root, 'package-lock.json'), lock('1.0.0'));
});

const integrityOf = (content: Buffer) => `sha512-${createHash('sha512').update(content).digest('base64')}`;

async function packageOf(program: string): Promise<Buffer> {
  await mkdir(join(root, 'packed', 'package', 'bin'), { recursive: true });
  await writeFile(join(root, 'packed', 'package', 'bin', 'node'), program);
  return execFileSync('tar', ['-cz', '-C', join(root, 'packed'), 'package']);
}

async function packNode(args: string[]): Promise<void> {
  const folder = args[args.indexOf('--pack-destination') + 1]!;
  await writeFile(join(folder, 'node-linux-test-24.21.0.tgz'), published);
}

async function installByHand(version: string, { node }: { node: boolean }) {
  await rm(join(root, 'node_modules'), { recursive: true, force: true });
  await mkdir(join(root, 'node_modules', '.bin'), { recursive: true });
  await mkdir(join(root, 'node_modules', 'node'));
  await writeFile(join(root, 'node_modules', '.package-lock.json'), lock(version));
  if (node) await writeFile(join(root, 'node_modules/.bin/node'), '');
}

test('a fresh clone: npm ci without scripts, then only those that are needed; then nothing more', async () => {
  await ensureDependencies(context, machine);
  expect(npmCalls).toEqual([
    'ci --ignore-scripts --include=dev --include=optional --no-audit --no-fund --loglevel=error',
    expect.stringMatching(/^pack node-\S+@24\.21\.0 --ignore-scripts /),
  ]);
  context.said.length = 0;
  await ensureDependencies(context, machine);
  expect(npmCalls).toHaveLength(2);
  expect(context.said).toEqual([]);
});

test('another package-lock.json means another npm ci', async () => {
  await ensureDependencies(context, machine);
  await writeFile(join(root, 'package-lock.json'), lock('1.0.1'));
  await ensureDependencies(context, machine);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(2);
});

test('what somebody has installed by hand is taken as it is', async () => {
  await installByHand('1.0.0', { node: true });
  await ensureDependencies(context, machine);
  expect(npmCalls).toEqual([]);
});

test('what was installed by hand without scripts is finished', async () => {
  await installByHand('1.0.0', { node: false });
  await ensureDependencies(context, machine);
  expect(npmCalls).toEqual([expect.stringMatching(/^pack/)]);
});

test('other versions than the locked ones, or an installation that broke off, are installed again', async () => {
  await installByHand('0.9.0', { node: true });
  await ensureDependencies(context, machine);
  expect(npmCalls[0]).toMatch(/^ci/);
  await rm(join(root, 'node_modules', '.agent-stacks-stamp'));
  await rm(join(root, 'node_modules', '.package-lock.json'));
  await ensureDependencies(context, machine);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(2);
});

test('two at once install once', async () => {
  await Promise.all([ensureDependencies(context, machine), ensureDependencies(context, machine)]);
  expect(npmCalls.filter((call) => call.startsWith('ci'))).toHaveLength(1);
});

test("npm's own words are shown when it fails", async () => {
  const run = async () => ({ code: 1, output: 'npm error network' });
  await expect(ensureDependencies({ ...context, run }, machine)).rejects.toThrow(
    /npm ci failed:\n {4}npm error network/,
  );
});

const nodeProgram = () => readFile(join(root, 'node_modules/.bin/node'), 'utf8');

test('the program of Node comes from its pinned package', async () => {
  await ensureDependencies(context, machine);
  expect(await nodeProgram()).toBe('the program');
  expect(Object.keys(nodeIntegrity)).toEqual(['linux-x64', 'linux-arm64']);
});

test('another package under its name is not used', async () => {
  published = await packageOf('something else');
  await expect(ensureDependencies(context, machine)).rejects.toThrow(
    'node-linux-test 24.21.0 does not match its pinned hash. Not used.',
  );
  expect(existsSync(join(root, 'node_modules/.bin/node'))).toBe(false);
});

test('where none is pinned a Node 24 of the user is taken, and no other', async () => {
  const elsewhere = { ...machine, platform: 'darwin-arm64' };
  await expect(ensureDependencies(context, elsewhere)).rejects.toThrow(
    /No Node 24\.21\.0 is pinned for darwin-arm64\. Run this with your own Node 24/,
  );
  await ensureDependencies(context, { ...elsewhere, running: 'v24.3.0' });
  expect(npmCalls.filter((call) => call.startsWith('pack'))).toEqual([]);
  expect(existsSync(join(root, 'node_modules/.bin/node'))).toBe(true);
});

test('a lock without a hash of something is not installed from', async () => {
  await writeFile(
    join(root, 'package-lock.json'),
    lock('1.0.0').replace('"integrity":"sha512-a"', '"dev":true'),
  );
  await expect(ensureDependencies(context, machine)).rejects.toThrow(
    'package-lock.json has no hash of a. Nothing was installed.',
  );
  expect(npmCalls).toEqual([]);
});
