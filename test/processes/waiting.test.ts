import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, it, onTestFinished, vi } from 'vitest';
import { hostPostgres } from '../../sandbox/host/postgres.ts';
import { clusterPaths } from '../../sandbox/host/postgres-cluster.ts';
import { findPostmaster } from '../../sandbox/host/postmaster.ts';
import { readConfig } from '../../src/config/config.ts';
import { claimFolder } from '../../src/processes/claims.mjs';
import { StoppedError, waitFor } from '../../src/processes/waiting.ts';
import { compileCache } from '../support/commands.ts';

const main = join(import.meta.dirname, '../../src/main.ts');
const never = new Promise<never>(() => {});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'agent-stacks-waiting-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the service; `heard` resolves once it has printed something. */
function startService(environment: Record<string, string>) {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', ...compileCache, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += text));
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  return { child, said: () => said, ended };
}

it('reports repeatedly what it waits for and why', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const said: string[] = [];
  const stop = new AbortController();
  const waiting = waitFor(
    'the thing',
    never,
    { say: (line) => said.push(line), signal: stop.signal },
    () => 'it sleeps',
  );
  await vi.advanceTimersByTimeAsync(20_000);
  expect(said).toEqual(['Waiting for the thing (3 s; it sleeps)', 'Waiting for the thing (18 s; it sleeps)']);
  stop.abort();
  await expect(waiting).rejects.toThrow(StoppedError);
});

it('reports nothing for a short wait, and passes on its result', async () => {
  const say = vi.fn();
  expect(await waitFor('x', Promise.resolve(7), { say })).toBe(7);
  await expect(waitFor('x', Promise.reject(new Error('no')), { say })).rejects.toThrow('no');
  await expect(waitFor('x', never, { say, signal: AbortSignal.abort() })).rejects.toThrow(StoppedError);
  expect(say).not.toHaveBeenCalled();
});

it('a Postgres that is stopped while it starts leaves nothing running', async () => {
  const dataDir = folder();
  const starting = hostPostgres({ dataDir, durable: false, signal: AbortSignal.abort() });
  await expect(starting).rejects.toThrow(StoppedError);
  expect(findPostmaster(clusterPaths(dataDir).cluster)).toBeNull();
});

it('a start that waits for another process says so, and ends on a signal', async () => {
  const dataDir = folder();
  // This process holds the folder and never becomes ready.
  claimFolder(join(dataDir, 'host'));
  const { child, said, ended } = startService({ DATA_DIR: dataDir });
  await vi.waitFor(
    () => expect(said()).toMatch(/Waiting for the process that holds .* to become ready/),
    60_000,
  );
  child.kill('SIGTERM');
  expect(await ended).toBe(0);
  expect(said()).toMatch(/Stopped\.\s*$/);
}, 90_000);

it('a start that waits for its database says so, and ends on a signal', async () => {
  const { default: pg } = await import('pg');
  const url = new URL(inject('postgresAdminUrl'));
  const name = `waiting-${process.pid}`;
  const admin = new pg.Client({ connectionString: url.href });
  await admin.connect();
  await admin.query(`create database "${name}" template template0`);
  url.pathname = `/${name}`;
  const holder = new pg.Client({ connectionString: url.href });
  await holder.connect();
  // A launcher takes this lock on its database first (sandbox/host/database-host.ts).
  await holder.query('select pg_advisory_lock(7316402)');
  const { child, said, ended } = startService({ DATA_DIR: folder(), DATABASE_URL: url.href });
  try {
    await vi.waitFor(() => expect(said()).toMatch(/Waiting for the database/), 60_000);
    child.kill('SIGINT');
    expect(await ended).toBe(0);
  } finally {
    await holder.end();
    await admin.query(`drop database "${name}" with (force)`);
    await admin.end();
  }
}, 90_000);

it('a folder has one path, whatever links lead to it', () => {
  const real = folder();
  const link = `${real}-link`;
  symlinkSync(real, link);
  onTestFinished(() => rmSync(link));
  expect(readConfig({ DATA_DIR: join(link, 'new', 'data'), CACHE_DIR: link })).toMatchObject({
    dataDir: join(real, 'new', 'data'),
    cacheDir: real,
  });
});
