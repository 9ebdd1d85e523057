import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePort } from '../../../sandbox/host/free-port.ts';

const RANGE = '/proc/sys/net/ipv4/ip_local_port_range';
/** The first port that the kernel gives to a program that asks for any. Without its file: Linux’s default. */
const firstGiven = existsSync(RANGE) ? Number(readFileSync(RANGE, 'utf8').split(/\s/)[0]) : 32_768;

test('a chosen port cannot be given to another program before it is used', async () => {
  for (let time = 0; time < 50; time += 1) expect(await freePort(null)).toBeLessThan(firstGiven);
});

test('the preferred port is kept while it is free', async () => {
  const preferred = await freePort(null);
  expect(await freePort(preferred)).toBe(preferred);
  const taken = createServer().listen(preferred, '127.0.0.1');
  await once(taken, 'listening');
  try {
    expect(await freePort(preferred)).not.toBe(preferred);
  } finally {
    taken.close();
  }
});
