import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { buildArguments, buildEnvironment, buildPulumi } from '../../tools/setup/pulumi-build.mjs';
import { downloadPulumi, platformName } from '../../tools/setup/pulumi-download.mjs';
import { run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

const archiveName = `pulumi-v3.259.0-${platformName(process.platform, process.arch)}.tar.gz`;
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'download '));
  await mkdir(join(folder, 'bin'));
});
afterEach(() => rm(folder, { recursive: true }));

async function site(files: Record<string, Buffer | string>) {
  const server = createServer((request, response) => {
    const content = files[request.url ?? ''];
    if (content === undefined) response.writeHead(404).end();
    else response.end(content);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { archives: `${url}/sdk`, checksums: `${url}/checksums.txt` };
}

async function archive(): Promise<Buffer> {
  const source = await mkdtemp(join(tmpdir(), 'archive '));
  onTestFinished(() => rm(source, { recursive: true }));
  await mkdir(join(source, 'pulumi'));
  await writeFile(join(source, 'pulumi', 'pulumi'), 'the program');
  await chmod(join(source, 'pulumi', 'pulumi'), 0o755);
  return execFileSync('tar', ['-cz', '-C', source, 'pulumi']);
}

test('the official archive is checked and unpacked', async () => {
  const content = await archive();
  const checksum = createHash('sha256').update(content).digest('hex');
  const sites = await site({
    [`/sdk/${archiveName}`]: content,
    '/checksums.txt': `${checksum}  ${archiveName}\n`,
  });
  expect(await downloadPulumi(await createContext(run), folder, sites)).toBeNull();
  expect(await readFile(join(folder, 'bin', 'pulumi'), 'utf8')).toBe('the program');
  expect(await readdir(folder)).toEqual(['bin']);
});

test('an archive with another checksum than the official one is refused', async () => {
  const list = `${'0'.repeat(64)}  ${archiveName}\n`;
  const sites = await site({ [`/sdk/${archiveName}`]: await archive(), '/checksums.txt': list });
  await expect(downloadPulumi(await createContext(run), folder, sites)).rejects.toThrow(
    /does not match its official checksum/,
  );
  expect(await readdir(join(folder, 'bin'))).toEqual([]);
});

test('an archive whose official checksum is not to be had is not used', async () => {
  const without = await site({ [`/sdk/${archiveName}`]: await archive() });
  expect(await downloadPulumi(await createContext(run), folder, without)).toEqual({
    unavailable: expect.stringMatching(/^without its official checksum: .* it answered 404$/),
  });
  const other = await site({
    [`/sdk/${archiveName}`]: await archive(),
    '/checksums.txt': `${'0'.repeat(64)}  another\n`,
  });
  expect(await downloadPulumi(await createContext(run), folder, other)).toEqual({
    unavailable: 'the official list has no checksum for it',
  });
  expect(await readdir(folder)).toEqual(['bin']);
});

test('a site that has no archive, or is not there, is a reason to go another way', async () => {
  const sites = await site({});
  const context = await createContext(run);
  expect(await downloadPulumi(context, folder, sites)).toEqual({
    unavailable: expect.stringMatching(/^could not reach 127\.0\.0\.1:\d+: it answered 404$/),
  });
  const nowhere = { archives: 'http://127.0.0.1:1', checksums: 'http://127.0.0.1:1' };
  expect(await downloadPulumi(context, folder, nowhere)).toEqual({
    unavailable: expect.stringContaining('could not reach 127.0.0.1:1'),
  });
});

test('without Go the message says how to install it', async () => {
  const context = await createContext(run, { PATH: '/nowhere' });
  expect(await buildPulumi(context, folder)).toEqual({
    unavailable: expect.stringMatching(/^Go is missing\. Install it \(.*apt-get install golang/),
  });
});

test('the build takes the committed modules as they are and stamps the version', () => {
  expect(buildArguments('/target')).toEqual([
    'build',
    '-v',
    '-mod=readonly',
    '-buildvcs=false',
    '-ldflags',
    '-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v3.259.0',
    '-o',
    '/target',
    'github.com/pulumi/pulumi/pkg/v3/cmd/pulumi',
  ]);
});

test("the build keeps the user's Go settings, and has caches without a home", () => {
  const settings = { GOPROXY: 'https://proxy.example', GOTOOLCHAIN: 'local', GOFLAGS: '-p=1' };
  expect(buildEnvironment({ ...settings, HOME: '/h', GOOS: 'plan9' }, '/cache')).toEqual({
    ...settings,
    HOME: '/h',
    GOWORK: 'off',
    GO111MODULE: 'on',
  });
  expect(buildEnvironment({ GOCACHE: '/mine' }, '/cache')).toMatchObject({
    GOCACHE: '/mine',
    GOPATH: '/cache/go',
  });
});
