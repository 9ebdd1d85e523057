import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLog, shortened } from '../src/log.ts';

test('no foreign text makes a line long', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  try {
    const file = join(folder, 'service.log');
    const long = 'x'.repeat(100_000);
    createLog(file).error({ event: 'a', error: long, err: new Error(long) }, 'something went wrong');
    const [line, rest] = readFileSync(file, 'utf8').split('\n');
    expect(rest).toBe('');
    expect(line!.length).toBeLessThan(30_000);
    expect(JSON.parse(line!)).toMatchObject({ event: 'a', err: { type: 'Error' } });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the id of a checkout session, which opens a page, is cut', () => {
  const folder = mkdtempSync(join(tmpdir(), 'log-'));
  try {
    const file = join(folder, 'service.log');
    const id = `cs_live_${'a1'.repeat(29)}`;
    createLog(file).info({ event: 'a', sessionId: id, error: `no ${id}, ${id}!` }, 'an order');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
      sessionId: 'cs_live_a1a1…',
      error: 'no cs_live_a1a1…, cs_live_a1a1…!',
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a cut text says how much is missing', () => {
  expect(shortened('abcdef', 6)).toBe('abcdef');
  expect(shortened('abcdef', 4)).toBe('abcd… (2 more characters)');
});
