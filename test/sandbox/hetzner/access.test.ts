import type { Request, Response } from 'express';
import { describe, expect, test } from 'vitest';
import { limitRequests } from '../../../sandbox/hetzner/access.ts';
import { hcloudToken, startCloud } from '../../support/sandbox-hetzner.ts';

test.each([
  ['no token', ''],
  ['another token', `Bearer ${'x'.repeat(64)}`],
  ['a part of the token', `Bearer ${hcloudToken.slice(1)}`],
  ['another scheme', `Basic ${hcloudToken}`],
])('with %s every call is refused', async (_what, authorization) => {
  const cloud = await startCloud();
  const answer = await cloud.call('GET', '/servers', undefined, { authorization });
  expect(answer).toMatchObject({ status: 401, body: { error: { code: 'unauthorized' } } });
});

test('every answer has the quota’s headers, and calls beyond it get 429', async () => {
  const cloud = await startCloud({ requestsPerHour: 3 });
  const answers = [];
  for (let i = 0; i < 4; i += 1) answers.push(await cloud.call('GET', '/locations'));
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200, 429]);
  expect(answers.map((answer) => answer.headers.get('ratelimit-remaining'))).toEqual(['2', '1', '0', '0']);
  expect(answers[3]!.body.error.code).toBe('rate_limit_exceeded');
  expect(answers[3]!.headers.get('ratelimit-limit')).toBe('3');
  const resetMs = Number(answers[3]!.headers.get('ratelimit-reset')) * 1000;
  expect(resetMs).toBeGreaterThan(Date.now() + 3_500_000);
});

test('the quota refills gradually, up to its limit', () => {
  let nowMs = 0;
  const middleware = limitRequests(3600, () => nowMs);
  // The middleware sets a header and uses nothing else of the response.
  const response = { set: () => response } as unknown as Response;
  const take = () => middleware({} as Request, response, () => undefined);
  const spend = () => {
    for (let i = 0; i < 3600; i += 1) take();
  };
  spend();
  expect(take).toThrow('3600 requests per hour');
  nowMs += 2_000;
  take();
  take();
  expect(take).toThrow();
  nowMs += 100 * 3_600_000;
  spend();
  expect(take).toThrow();
});

describe('invalid or missing resources', () => {
  test.each([
    ['POST', '/servers', '{"name":', 400, 'json_error'],
    ['POST', '/servers', undefined, 422, 'invalid_input'],
    ['GET', '/servers/abc', undefined, 404, 'not_found'],
    ['GET', '/servers/1', undefined, 404, 'not_found'],
    ['POST', '/servers/1/actions/poweroff', undefined, 404, 'not_found'],
    ['GET', '/firewalls/99999999999', undefined, 404, 'not_found'],
    ['GET', '/actions/1', undefined, 404, 'not_found'],
    ['GET', '/storage_boxes', undefined, 404, 'not_found'],
    ['GET', '/servers?page=0', undefined, 422, 'invalid_input'],
  ])('%s %s %s is %d %s', async (method, path, body, status, code) => {
    const cloud = await startCloud();
    // Certificates are not in the document, so a known resource is requested too.
    await cloud.call('GET', '/locations');
    const answer = await cloud.call(method, path, body);
    expect(answer).toMatchObject({ status, body: { error: { code, message: expect.any(String) } } });
  });
});
