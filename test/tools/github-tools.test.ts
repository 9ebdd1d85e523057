import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { act, actionlint, buildPublished, downloadPublished } from '../../tools/setup/github-tools.mjs';
import { type Run, run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

const file = act.archive(process.platform, process.arch)!;

async function site(files: Record<string, Buffer | string>): Promise<string> {
  const server = createServer((request, response) => {
    const content = files[request.url!.slice(1)];
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** An archive as it is published, with a program beside other files. */
async function archive(folder: string): Promise<Buffer> {
  await writeFile(join(folder, 'act'), 'the program');
  await chmod(join(folder, 'act'), 0o755);
  await writeFile(join(folder, 'LICENSE'), 'words');
  return execFileSync('tar', ['-cz', '-C', folder, 'act', 'LICENSE']);
}

async function prepare() {
  const context = await createContext(run);
  const folder = join(context.cacheDir, 'made');
  await mkdir(join(folder, 'bin'), { recursive: true });
  return { context, folder, content: await archive(context.cacheDir) };
}

test('the official archive is compared with its checksum and unpacked', async () => {
  const { context, folder, content } = await prepare();
  const sum = createHash('sha256').update(content).digest('hex');
  const url = await site({ [file]: content, 'checksums.txt': `${sum}  ${file}\n` });
  expect(await downloadPublished(context, folder, { ...act, site: url })).toBeNull();
  expect(await readFile(join(folder, 'bin', 'act'), 'utf8')).toBe('the program');
});

test('one with another checksum, or with none, is not used', async () => {
  const { context, folder, content } = await prepare();
  const wrong = await site({ [file]: content, 'checksums.txt': `${'0'.repeat(64)}  ${file}\n` });
  await expect(downloadPublished(context, folder, { ...act, site: wrong })).rejects.toThrow(
    /official checksum/,
  );
  const none = await site({ [file]: content });
  expect(await downloadPublished(context, folder, { ...act, site: none })).toEqual({
    unavailable: expect.stringContaining('it answered 404'),
  });
});

test('archives are named as they are published', () => {
  expect(act.archive('linux', 'x64')).toBe('act_Linux_x86_64.tar.gz');
  expect(act.archive('darwin', 'arm64')).toBe('act_Darwin_arm64.tar.gz');
  expect(actionlint.archive('linux', 'arm64')).toBe('actionlint_1.7.12_linux_arm64.tar.gz');
  expect(act.archive('win32', 'x64')).toBeNull();
});

test('a build takes the pinned version into the folder that was asked for', async () => {
  const calls: [string, string[], Parameters<Run>[2]][] = [];
  const fake: Run = async (command, args, options) => {
    calls.push([command, args, options]);
    return { code: 0, output: '' };
  };
  const context = await createContext(fake, { HOME: '/h', GOFLAGS: '-p=1', GOOS: 'plan9' });
  const go = join(context.cacheDir, 'go');
  await writeFile(go, '');
  await chmod(go, 0o755);
  context.env.PATH = context.cacheDir;
  expect(await buildPublished(context, '/made', act)).toBeNull();
  const [command, args, options] = calls[0]!;
  expect(command).toBe(go);
  expect(args).toEqual(
    expect.arrayContaining(['build', '-mod=readonly', '-o', '/made/bin/', 'github.com/nektos/act']),
  );
  expect(options?.cwd).toBe(join(context.root, 'tools/setup/github-tools/act'));
  expect(options?.env).toMatchObject({ GOFLAGS: '-p=1' });
  expect(options?.env).not.toHaveProperty('GOOS');
});

test('without Go the message says how to install it', async () => {
  const context = await createContext(run, { PATH: '/nowhere' });
  expect(await buildPublished(context, '/made', actionlint)).toEqual({
    unavailable: expect.stringContaining('apt-get install golang'),
  });
});

test.each([act, actionlint])(
  '$name is pinned in the version that is asked for, with its hash',
  async ({ name, version, module }) => {
    const file = (end: string) =>
      readFile(join(import.meta.dirname, `../../tools/setup/github-tools/${name}/go.${end}`), 'utf8');
    const repository = module.split('/').slice(0, 3).join('/');
    expect(await file('mod')).toContain(`${repository} v${version}`);
    expect(await file('sum')).toMatch(new RegExp(`^${repository} v${version} h1:`, 'm'));
  },
);
