import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

test('the SDK starts without what serializes functions, and gets what it asks for', async () => {
  const script = fileURLToPath(new URL('processes/lazy.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script]);
  const { atStart, serialized, packed, paths, text } = JSON.parse(stdout) as Record<string, unknown>;
  expect(atStart).toEqual([false, false, false, false]);
  expect(serialized).toEqual([true, false, true, false]);
  expect(packed).toEqual([true, true, true, true]);
  expect(paths).toBeGreaterThan(10);
  expect(text).toContain('one: 1');
}, 60_000);
