import { expect, test } from 'vitest';
import { faultOrderSchema } from '../../sandbox/fault-order.ts';
import { PatternTooSlow, pathMatches } from '../../sandbox/path-pattern.ts';
import { orderServer, startCloud } from '../support/sandbox-hetzner.ts';

test.each([
  ['/servers', '/servers', true],
  ['/servers', '/servers/1', false],
  ['/servers/*', '/servers/1', true],
  ['/servers/*', '/servers/1/actions', false],
  ['/servers/**', '/servers/1/actions', true],
  ['/a.b', '/axb', false],
  ['^/servers(/\\d+)?$', '/servers/12', true],
  ['^/servers(/\\d+)?$', '/servers/x', false],
])('%s and %s: %s', (pattern, path, expected) => {
  expect(pathMatches(pattern, path)).toBe(expected);
});

/** Each would backtrack an astronomic number of times before it fails. */
const EVIL: [string, string][] = [
  ['^(/?s*)*(/?s*)*x$', `/${'s'.repeat(60)}`],
  ['^/(([a-z])+.)+[A-Z]$', `/${'a'.repeat(60)}`],
  [`/${'**a'.repeat(60)}!`, `/${'a'.repeat(3_000)}`],
];

test.each(EVIL)('%s is aborted', (pattern, path) => {
  expect(() => pathMatches(pattern, path)).toThrow(PatternTooSlow);
  expect(pathMatches('/servers', '/servers')).toBe(true);
});

test('a fault with such a pattern expires, and the sandbox keeps answering', async () => {
  const cloud = await startCloud();
  const effect = { kind: 'status', status: 503 };
  const order = { area: 'hetzner', method: '*', path: '^(/?s*e*)*(/?s*)*x$', times: 5, effect };
  expect((await cloud.control('POST', '/faults', order)).status).toBe(201);
  const path = `/${'se'.repeat(60)}!`;
  expect((await cloud.call('GET', path)).status).toBe(404);
  expect((await cloud.control('GET', '/faults')).body.faults).toMatchObject([{ remaining: 0 }]);
  expect((await orderServer(cloud, { name: 'a' })).status).toBe(201);
});

test('a pattern has a maximum length', () => {
  const order = { area: 'hetzner', effect: { kind: 'status', status: 503 } };
  expect(faultOrderSchema.safeParse({ ...order, path: `/${'a'.repeat(299)}` }).success).toBe(true);
  expect(faultOrderSchema.safeParse({ ...order, path: `/${'a'.repeat(300)}` }).success).toBe(false);
});
