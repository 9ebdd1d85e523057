import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { debootstrapArguments } from '../../tools/setup/machines/base.mjs';
import { mirrorIn } from '../../tools/setup/machines/debian-mirror.mjs';
import { download, goArchitecture, listedChecksum } from '../../tools/setup/machines/download.mjs';
import {
  debianKeyring,
  installPackages,
  missingForPreparing,
  missingPackages,
} from '../../tools/setup/machines/host-packages.mjs';
import { findMachines } from '../../tools/setup/machines/machines.mjs';
import { ensureTool } from '../../tools/setup/machines/tool.mjs';
import { hostProblem } from '../../tools/setup/machines/usable.mjs';
import { Interrupted, run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

const noRun = vi.fn(async () => ({ code: 0, output: '' }));

async function programs(folder: string, ...names: string[]) {
  await mkdir(folder, { recursive: true });
  for (const name of names) {
    await writeFile(join(folder, name), '');
    await chmod(join(folder, name), 0o755);
  }
}

const host = ['ip', 'nft', 'mount', 'unshare', 'nsenter', 'setpriv'];

test('Debian packages that are missing are installed, and no others', async () => {
  const calls: string[][] = [];
  const context = await createContext(async (command, args) => {
    calls.push([command, ...args]);
    if (args.includes('install')) await programs(context.cacheDir, 'systemd-nspawn', 'debootstrap');
    return { code: 0, output: '' };
  });
  await programs(context.cacheDir, 'apt-get', ...host);
  const env = { PATH: context.cacheDir };
  expect(missingPackages(env)).toEqual(['systemd-container', 'debootstrap']);
  const keysAreThere = () => true;
  expect(await installPackages({ ...context, env }, keysAreThere)).toEqual([]);
  const lock = ['-o', 'DPkg::Lock::Timeout=120'];
  expect(calls).toEqual([
    ['apt-get', ...lock, 'update'],
    ['apt-get', ...lock, 'install', '-y', '--no-install-recommends', 'systemd-container', 'debootstrap'],
  ]);
  calls.length = 0;
  expect(await installPackages({ ...context, env }, keysAreThere)).toEqual([]);
  expect(calls).toEqual([]);
});

test('where apt-get cannot, what is missing is said', async () => {
  const failing = vi.fn(async () => ({ code: 100, output: 'E: no network' }));
  const context = await createContext(failing);
  await programs(context.cacheDir, 'apt-get', 'systemd-nspawn', 'debootstrap', ...host.slice(1));
  const env = { PATH: context.cacheDir };
  expect(await installPackages({ ...context, env }, () => true)).toEqual(['iproute2']);
  expect(context.said).toEqual(['Installing iproute2', 'not possible here', '    E: no network']);
  await programs(context.cacheDir, 'ip');
});

test('Debian is installed only with its own signature on it, and keys that this host has', async () => {
  const args = debootstrapArguments('/root', 'http://mirror.example/debian');
  expect(args).toEqual(expect.arrayContaining(['--force-check-gpg', `--keyring=${debianKeyring}`]));
  expect(args.slice(-3)).toEqual(['bookworm', '/root', 'http://mirror.example/debian']);
  const context = await createContext(noRun);
  await programs(context.cacheDir, 'systemd-nspawn', 'debootstrap', ...host);
  const env = { PATH: context.cacheDir };
  expect(missingForPreparing(env, () => false)).toEqual(['debian-archive-keyring']);
  // A complete set-up no longer needs them.
  expect(missingPackages(env)).toEqual([]);
});

const debootstrap = '/usr/sbin/debootstrap';
test.skipIf(process.getuid?.() !== 0 || !existsSync(debootstrap) || !existsSync(debianKeyring))(
  'a mirror whose lists nobody has signed is refused',
  async () => {
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url!);
      if (request.url === '/dists/bookworm/Release')
        response.end('Origin: Debian\nCodename: bookworm\nComponents: main\n');
      else if (request.url === '/dists/bookworm/Release.gpg') response.end('not a signature');
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const context = await createContext(run);
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const target = join(context.cacheDir, 'root').replaceAll(' ', '-');
    onTestFinished(() => rm(target, { recursive: true, force: true }));
    const env = { ...process.env, no_proxy: '127.0.0.1' };
    const { code, output } = await run(debootstrap, debootstrapArguments(target, url), { env });
    expect(code).not.toBe(0);
    expect(output).toMatch(/signature/i);
    expect(asked.filter((path) => path.includes('Packages'))).toEqual([]);
  },
  30_000,
);

test('a host says why it cannot have real machines', () => {
  expect(hostProblem({ platform: 'darwin', isRoot: true })).toBe('they need Linux');
  expect(hostProblem({ platform: 'linux', isRoot: false })).toBe('they need root');
  expect(hostProblem({ platform: 'linux', isRoot: true })).toBeNull();
});

test('npm start prepares nothing: without a preparation there are none', async () => {
  const context = await createContext(noRun);
  expect(await findMachines(context)).toEqual({ missing: [expect.stringMatching(/not set up|they need/)] });
  expect(noRun).not.toHaveBeenCalled();
  expect(await readdir(context.cacheDir)).toEqual([]);
});

test('Debian comes from where this host has its own from', () => {
  const targets = [
    'http://mirror.example/security/ Debian Debian-Security',
    'http://mirror.example/debian/ Debian Debian',
    'http://other.example/debian/ Debian Debian',
  ];
  expect(mirrorIn(targets.join('\n'))).toBe('http://mirror.example/debian/');
  expect(mirrorIn('http://archive.ubuntu.com/ubuntu/ Ubuntu Ubuntu')).toBeNull();
});

const tool = (obtain: (folder: string) => Promise<{ unavailable: string } | null>) => ({
  title: 'Tool 1',
  folder: 'tool-1',
  programs: ['tool'],
  ways: [
    { name: 'a download', obtain: async () => ({ unavailable: 'out of reach' }) },
    { name: 'a build', obtain: (_context: unknown, folder: string) => obtain(folder) },
  ],
});

test('the ways to a tool are gone in order, once', async () => {
  const context = await createContext(noRun);
  const obtain = vi.fn(async (folder: string) => {
    await programs(join(folder, 'bin'), 'tool');
    return null;
  });
  const bin = join(context.cacheDir, 'tool-1', 'bin');
  expect(await ensureTool(context, tool(obtain))).toBe(bin);
  expect(await ensureTool(context, tool(obtain))).toBe(bin);
  expect(obtain).toHaveBeenCalledOnce();
  expect((await readdir(context.cacheDir)).sort()).toEqual(['claims', 'tool-1']);
});

test('when none works the reason of each is said; an interrupted one leaves nothing either', async () => {
  const context = await createContext(noRun);
  const refusing = tool(async () => ({ unavailable: 'Go is missing' }));
  await expect(ensureTool(context, refusing)).rejects.toThrow(
    'Tool 1 could not be set up.\n  a download: out of reach\n  a build: Go is missing',
  );
  const interrupted = tool(async () => Promise.reject(new Interrupted()));
  await expect(ensureTool(context, interrupted)).rejects.toThrow(Interrupted);
  expect(await readdir(context.cacheDir)).toEqual(['claims']);
});

async function site(files: Record<string, string>) {
  const server = createServer((request, response) => {
    const content = files[request.url ?? ''];
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const checksum = (text: string) => createHash('sha256').update(text).digest('hex');

test('an official file is taken if it is what its official checksum says, and not without one', async () => {
  const context = await createContext(run);
  const url = await site({
    '/tool': 'the tool',
    '/good': `${checksum('other')}  other\n${checksum('the tool')}  tool\n`,
    '/bad': checksum('another tool'),
  });
  const from = (list: string) => ({
    title: 'Tool',
    url: `${url}/tool`,
    checksumUrl: `${url}/${list}`,
    folder: context.cacheDir,
  });
  const got = await download(context, from('good'));
  expect(got).toEqual({ file: join(context.cacheDir, 'tool') });
  expect(await readFile(join(context.cacheDir, 'tool'), 'utf8')).toBe('the tool');
  await expect(download(context, from('bad'))).rejects.toThrow('does not match its official checksum');
  expect(await download(context, from('none'))).toEqual({ unavailable: expect.stringContaining('404') });
});

test('official files are named by architecture', () => {
  expect(
    ['x64', 'arm64', 'ia32'].map((name) => goArchitecture('linux', name as NodeJS.Architecture)),
  ).toEqual(['amd64', 'arm64', null]);
  expect(goArchitecture('darwin', 'arm64')).toBeNull();
  expect(listedChecksum('abc  one\ndef *two\n', 'two')).toBe('def');
  expect(listedChecksum('abc\n', 'two')).toBe('abc');
  expect(listedChecksum('abc  one\n', 'two')).toBeUndefined();
});
