import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it, vi } from 'vitest';
import { followProgress } from '../../../src/pulumi/engine/follow-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'follow-log-'));
const path = join(folder, 'log');
afterEach(() => rmSync(path, { force: true }));
afterAll(() => rmSync(folder, { recursive: true }));

it('reports complete lines as they come, each once, and the last ones before it ends', async () => {
  const told: string[] = [];
  const stop = followProgress(path, (line) => told.push(line));
  appendFileSync(path, 'base : One: ok (0.2 s)\nbase :');
  await vi.waitFor(() => expect(told).toEqual(['base : One: ok (0.2 s)']), { timeout: 15_000 });
  appendFileSync(path, ' Two: changed (0.1 s)\n');
  await stop();
  expect(told).toEqual(['base : One: ok (0.2 s)', 'base : Two: changed (0.1 s)']);
});

it('tolerates a log that is never created', async () => {
  const stop = followProgress(join(folder, 'none'), () => expect.unreachable());
  await stop();
});

it('cuts lines that are too long, and continues after them', async () => {
  const told: string[] = [];
  const stop = followProgress(path, (line) => told.push(line));
  const long = 'x'.repeat(10_000);
  for (let times = 0; times < 200; times++) appendFileSync(path, `progress: ${long}`);
  appendFileSync(path, `\nOne: ok (0.2 s)\n${long}\nZwei: größer (0.1 s)\n`);
  await stop();
  expect(told).toEqual(['One: ok (0.2 s)', 'Zwei: größer (0.1 s)']);
});
