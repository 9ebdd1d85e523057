import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the SDK starts without the TypeScript compiler and npm’s package tree, and gets what it asks for', async () => {
  const script = fileURLToPath(new URL('processes/lazy.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const { atStart, afterwards, text } = JSON.parse(stdout) as Record<string, unknown>;
  expect(atStart).toEqual([false, false]);
  expect(afterwards).toEqual([true, false]);
  expect(text).toContain('one: 1');
}, 60_000);
