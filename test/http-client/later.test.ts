import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { getFailureCode, PermanentError, RateLimitedError, reportedError } from '../../src/errors.ts';
import { describeFailure } from '../../src/executors/github-actions/result.ts';
import { createGithubClient } from '../../src/github/github.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { laterSeconds } from '../../src/http-client/later.ts';
import { retryPolicy } from '../../src/operations/retry-policy.ts';
import { NotJoinedError } from '../../src/pulumi/errors.ts';
import { Secret } from '../../src/secret.ts';
import { askStripe, createStripe } from '../../src/stripe/stripe.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';

const now = Date.parse('2026-11-29T12:00:00Z');
const at = (seconds: number) => String(now / 1000 + seconds);
const SECONDARY = 'You have exceeded a secondary rate limit. Please wait a few minutes before you try again.';

test.each<[what: string, number, Record<string, string>, string, number | undefined]>([
  ['GitHub’s secondary limit, by its message only', 403, {}, SECONDARY, 60],
  ['its older message', 403, {}, 'You have triggered an abuse detection mechanism', 60],
  ['its secondary limit, with a time', 403, { 'retry-after': '120' }, SECONDARY, 120],
  ['never less than a minute', 403, { 'retry-after': '5' }, SECONDARY, 60],
  [
    'its spent quota',
    403,
    { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': at(700) },
    'API rate limit exceeded',
    700,
  ],
  ['the same as 429', 429, { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': at(700) }, '', 700],
  [
    'a secondary limit while the quota is not spent',
    403,
    { 'x-ratelimit-remaining': '4000', 'x-ratelimit-reset': at(700) },
    SECONDARY,
    60,
  ],
  [
    'a token without permission',
    403,
    { 'x-ratelimit-remaining': '4999' },
    'Resource not accessible',
    undefined,
  ],
  ['Hetzner’s quota, full again in half an hour', 429, { 'ratelimit-reset': at(1800) }, '', 60],
  ['Hetzner’s quota, full again soon', 429, { 'ratelimit-reset': at(20) }, '', 20],
  ['Tailscale’s or Stripe’s 429', 429, {}, '', 60],
  ['429 with a date', 429, { 'retry-after': 'Sun, 29 Nov 2026 12:03:00 GMT' }, '', 180],
  ['a date that has passed', 429, { 'retry-after': 'Sun, 29 Nov 2020 12:00:00 GMT' }, '', 60],
  ['503 with seconds', 503, { 'retry-after': '7' }, '', 7],
  ['503 with a date', 503, { 'retry-after': 'Sun, 29 Nov 2026 12:00:30 GMT' }, '', 30],
  ['503 that says nothing', 503, {}, '', undefined],
  ['503 with nonsense', 503, { 'retry-after': 'soon' }, '', undefined],
  ['more than the limit', 429, { 'retry-after': '99999999999999999999' }, '', 3600],
  ['a year', 503, { 'retry-after': 'Mon, 29 Nov 2027 12:00:00 GMT' }, '', 3600],
  ['another failure', 500, { 'retry-after': '7' }, '', undefined],
])('%s', (_, status, headers, message, seconds) => {
  expect(laterSeconds({ status, headers: new Headers(headers), message }, now)).toBe(seconds);
});

test('an operation waits for as long as the server asked, even if a runner reports it', () => {
  const tries = { retryCount: 0, maxRetries: 3, lostCount: 0 };
  const error = new RateLimitedError('later', { seconds: 700 });
  expect(retryPolicy(error, tries)).toEqual({ kind: 'retry', delaySeconds: 700 });
  expect(retryPolicy(reportedError(describeFailure(error)), tries)).toEqual({
    kind: 'retry',
    delaySeconds: 700,
  });
  expect(retryPolicy(new RateLimitedError('later'), tries)).toEqual({ kind: 'retry', delaySeconds: 60 });
});

test('a failure keeps its code when a runner reports it', () => {
  expect(getFailureCode(reportedError(describeFailure(new NotJoinedError('too late'))))).toBe('not-joined');
  expect(describeFailure(new Error('x'))).toEqual({ name: 'RetryableError', message: 'x' });
});

/** Answers every request with this response. */
async function answering(status: number, headers: Record<string, string>, body: object) {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked: () => asked };
}

const secret = new Secret('token');
const thrown = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

test('GitHub’s 403 for its secondary limit is not a refusal, and no call is made until it has passed', async () => {
  const server = await answering(403, { 'retry-after': '90' }, { message: SECONDARY });
  const github = createGithubClient({
    apiUrl: server.url,
    owner: 'o',
    repo: 'r',
    token: secret,
    ref: 'main',
  });
  const first = await thrown(github.dispatch({}));
  expect(first).toMatchObject({ name: 'RateLimitedError', seconds: 90 });
  const second = await thrown(github.getRun('1'));
  expect(second).toBeInstanceOf(RateLimitedError);
  expect((second as RateLimitedError).seconds).toBeGreaterThan(0);
  expect(server.asked()).toBe(1);
});

test.each<[string, (url: string) => Promise<unknown>]>([
  ['Hetzner', (url) => createHetznerClient({ endpoint: url, token: secret }).getServer('1')],
  [
    'Tailscale',
    (url) =>
      createTailscaleClient({
        baseUrl: url,
        tailnet: '-',
        loginServer: undefined,
        credential: { kind: 'api-key', key: secret },
      }).listDevices(),
  ],
  ['Stripe', (url) => askStripe(createStripe({ secretKey: secret, apiUrl: url }).customers.retrieve('c'))],
])('%s: 429 and 503 are retried later, 401 is final', async (_, call) => {
  const limited = await answering(429, { 'retry-after': '75' }, { error: { message: 'slow down' } });
  expect(await thrown(call(limited.url))).toMatchObject({ name: 'RateLimitedError', seconds: 75 });
  const away = await answering(503, { 'retry-after': '9' }, { error: { message: 'not now' } });
  expect(await thrown(call(away.url))).toMatchObject({ name: 'RateLimitedError', seconds: 9 });
  const refused = await answering(401, {}, { message: 'API token invalid', error: { message: 'no' } });
  expect(await thrown(call(refused.url))).toBeInstanceOf(PermanentError);
  for (const server of [limited, away, refused]) expect(server.asked()).toBe(1);
});
