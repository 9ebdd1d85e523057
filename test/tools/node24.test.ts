import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

const script = (name: string) => join(import.meta.dirname, 'processes', name);

/** The two processes in their own group, as a terminal would have them. */
async function start(exitCode: number) {
  const { cacheDir } = await createContext(run);
  const logFile = join(cacheDir, 'log');
  const args = [script('run-service.mjs'), script('service.mjs'), logFile, String(exitCode)];
  const parent = spawn(process.execPath, args, { detached: true, stdio: 'ignore' });
  const exited = once(parent, 'exit');
  const log = async () =>
    existsSync(logFile) ? (await readFile(logFile, 'utf8')).trimEnd().split('\n') : [];
  const first = await vi.waitUntil(async () => (await log())[0], { timeout: 10_000 });
  onTestFinished(() => {
    try {
      process.kill(-parent.pid!, 'SIGKILL');
    } catch {
      // Both have ended.
    }
  });
  return { parent, exited, log: async () => (await log()).slice(1), first };
}

test('runs the service under Node 24; Ctrl-C reaches it once, and is waited for', async () => {
  const { parent, exited, log, first } = await start(0);
  expect(first).toMatch(/ v24$/);
  process.kill(-parent.pid!, 'SIGINT');
  // npm repeats the terminal's signal to the process it started.
  process.kill(parent.pid!, 'SIGINT');
  expect(await exited).toEqual([0, null]);
  const received = await log();
  expect(received.filter((line) => line === 'SIGINT')).toHaveLength(1);
  expect(received).not.toContain('SIGTERM');
  expect(received).toContain('stopped');
});

test('SIGTERM is passed on, and so is the exit code', async () => {
  const { parent, exited, log } = await start(7);
  parent.kill('SIGTERM');
  expect(await exited).toEqual([7, null]);
  expect(await log()).toEqual(['SIGTERM', 'stopped']);
});

test('an interrupt for this process alone stops the service too', async () => {
  const { parent, exited, log } = await start(0);
  parent.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
  expect(await log()).toEqual(['disconnect', 'stopped']);
});

test('the service notices when this process is killed', async () => {
  const { parent, exited, log } = await start(0);
  parent.kill('SIGKILL');
  await exited;
  await vi.waitFor(async () => expect(await log()).toEqual(['disconnect', 'stopped']), { timeout: 15_000 });
});

test('an end by a signal is passed on as one', async () => {
  const { exited, first } = await start(0);
  process.kill(Number(first!.split(' ')[1]), 'SIGKILL');
  expect(await exited).toEqual([null, 'SIGKILL']);
});
