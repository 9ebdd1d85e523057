import { execFile } from 'node:child_process';
import { existsSync, lstatSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { handOver, makePipe } from '../../../sandbox/github/hand-over.ts';
import { makeFolder } from '../../support/sandbox-github.ts';

async function pipe() {
  const path = join(await makeFolder(), 'secrets.yml');
  makePipe(path);
  return path;
}

test('a pipe readable only by its owner gives the first reader everything, and is removed', async () => {
  const path = await pipe();
  expect(lstatSync(path).isFIFO()).toBe(true);
  expect(lstatSync(path).mode & 0o777).toBe(0o600);
  // More than a pipe's buffer, so it takes several writes.
  const content = 'ü'.repeat(200_000);
  const given = handOver(path, content, new AbortController().signal);
  const { stdout } = await promisify(execFile)('cat', [path], { maxBuffer: 1e6 });
  await given;
  expect(stdout).toBe(content);
  expect(existsSync(path)).toBe(false);
});

test('an abort ends the wait for a reader', async () => {
  const path = await pipe();
  const over = new AbortController();
  const given = handOver(path, 'secret', over.signal);
  over.abort();
  await given;
  expect(existsSync(path)).toBe(false);
});

test('a reader that exits early does not block the writer', async () => {
  const path = await pipe();
  const given = handOver(path, 'x'.repeat(200_000), new AbortController().signal);
  await promisify(execFile)('head', ['-c', '1', path]);
  await given;
});
