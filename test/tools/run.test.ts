import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { processIdentity } from '../../src/processes/alive.mjs';
import { findProgram, Interrupted, run } from '../../tools/setup/run.mjs';
import { createContext } from '../support/set-up-context.ts';

/** The default is a second, which is short beside other load. */
const WAIT = { timeout: 15_000 };

test('gives the exit code and what was said on both streams, line by line', async () => {
  const onLine = vi.fn();
  const outcome = await run('sh', ['-c', 'echo one; sleep 0.05; echo two >&2; exit 3'], { onLine });
  expect(outcome).toEqual({ code: 3, output: 'one\ntwo\n' });
  expect(onLine.mock.calls.flat()).toEqual(['one', 'two']);
});

test('a program that is not there gives code 127', async () => {
  expect(await run('/no/such/program', [])).toMatchObject({
    code: 127,
    output: expect.stringContaining('ENOENT'),
  });
});

test("an interruption ends the program's children too", async () => {
  const { cacheDir } = await createContext(run);
  const pidFile = join(cacheDir, 'pid');
  const interrupt = new AbortController();
  const running = run('sh', ['-c', 'sleep 60 & echo $! > "$1"; wait', 'sh', pidFile], {
    signal: interrupt.signal,
  });
  const pid = await vi.waitFor(async () => {
    const written = Number(await readFile(pidFile, 'utf8'));
    expect(written).toBeGreaterThan(0);
    return written;
  }, WAIT);
  interrupt.abort();
  await expect(running).rejects.toThrow(Interrupted);
  await vi.waitFor(() => expect(processIdentity(pid)).toBeNull(), WAIT);
  await expect(run('true', [], { signal: interrupt.signal })).rejects.toThrow(Interrupted);
});

test('a program is found by PATH alone, and a folder of its name is none', () => {
  expect(findProgram('sh', { PATH: '/nowhere:/bin' })).toBe('/bin/sh');
  expect(findProgram('bin', { PATH: '/' })).toBeNull();
  expect(findProgram('sh', {})).toBeNull();
});
