import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimDataDir, findDataDirOwner } from '../../src/processes/folder-lock.ts';

const script = (name: string) => join(import.meta.dirname, 'processes', `${name}.ts`);
let dataDir: string;
let children: ChildProcess[];

beforeEach(async () => {
  dataDir = join(await mkdtemp(join(tmpdir(), 'claim ')), 'data');
  children = [];
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(join(dataDir, '..'), { recursive: true });
});

async function startClaimers(count: number) {
  const started = Array.from({ length: count }, () =>
    spawn(process.execPath, [script('claim'), dataDir], { stdio: ['pipe', 'pipe', 'inherit'] }),
  );
  children.push(...started);
  return Promise.all(
    started.map(async (child) => {
      const [line] = await once(createInterface({ input: child.stdout }), 'line');
      return { child, ...(JSON.parse(line) as { role: string; owner: number }) };
    }),
  );
}

test('one of several starters hosts and the others join; when it is killed, one of the next takes over', async () => {
  const first = await startClaimers(5);
  const hosts = first.filter(({ role }) => role === 'host');
  expect(hosts).toHaveLength(1);
  expect(first.map(({ owner }) => owner)).toEqual(Array(5).fill(hosts[0]!.child.pid));

  hosts[0]!.child.kill('SIGKILL');
  await once(hosts[0]!.child, 'exit');
  expect(findDataDirOwner(dataDir)).toBeNull();

  const second = await startClaimers(5);
  expect(second.filter(({ role }) => role === 'host')).toHaveLength(1);
});

test('concurrent claims and releases never make two hosts', async () => {
  await claimDataDir(dataDir).then((claim) => claim.role === 'host' && claim.release());
  const crowd = Array.from({ length: 4 }, () =>
    spawn(process.execPath, [script('contend'), dataDir, '60'], { stdio: ['ignore', 'ignore', 'inherit'] }),
  );
  children.push(...crowd);
  const codes = await Promise.all(crowd.map(async (child) => (await once(child, 'exit'))[0]));
  expect(codes).toEqual([0, 0, 0, 0]);
  expect(existsSync(join(dataDir, 'room'))).toBe(false);
});

test('a released folder can be claimed again, and earlier owners leave nothing behind', async () => {
  for (let round = 0; round < 3; round += 1) {
    const claim = await claimDataDir(dataDir);
    expect(claim.role).toBe('host');
    expect(await claimDataDir(dataDir)).toMatchObject({ role: 'join', owner: { pid: process.pid } });
    if (claim.role === 'host') claim.release();
  }
  expect(await readdir(join(dataDir, 'host'))).toHaveLength(1);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
});

test('a later process with a dead owner’s pid is not taken for it', async () => {
  await claimDataDir(dataDir);
  const [name] = await readdir(join(dataDir, 'host'));
  const path = join(dataDir, 'host', name!);
  const record = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...record, identity: 'another start' }));
  expect((await claimDataDir(dataDir)).role).toBe('host');
});

test('a record that a power cut left empty does not block a claim', async () => {
  await claimDataDir(dataDir);
  const [name] = await readdir(join(dataDir, 'host'));
  await writeFile(join(dataDir, 'host', name!), '');
  expect((await claimDataDir(dataDir)).role).toBe('host');
});
