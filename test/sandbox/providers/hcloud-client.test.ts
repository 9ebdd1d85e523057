import { expect, test } from 'vitest';
import {
  createHcloudClient,
  HcloudError,
  hcloudSettings,
  named,
} from '../../../sandbox/providers/hcloud/client.ts';
import { type Answer, startFakeHttp } from './fake-http.ts';

const token = 't'.repeat(64);
const signal = new AbortController().signal;

/** A client of a service that gives these answers in turn, then `{}`. */
async function setup(answers: Answer[], settings: { pollIntervalMs?: number } = {}) {
  const http = await startFakeHttp(() => answers.shift() ?? { body: {} });
  return { http, client: createHcloudClient({ token, endpoint: http.url, retryBaseMs: 1, ...settings }) };
}

function refusal(status: number, code: string, message = 'no', details?: unknown): Answer {
  return { status, headers: { 'x-correlation-id': 'c0ffee' }, body: { error: { code, message, details } } };
}

test.each([
  ['conflict', refusal(409, 'conflict')],
  ['rate limit', refusal(429, 'rate_limit_exceeded')],
  ['timeout', refusal(504, 'timeout')],
  ['502 of a proxy', { status: 502, body: '<html>' }],
  ['504 of a proxy', { status: 504, body: '<html>' }],
])('retries a request after: %s', async (_what, answer) => {
  const { http, client } = await setup([answer, answer]);
  await using _ = http;
  await client.request('POST', '/servers', { name: 'a' }, signal);
  expect(http.received.map(({ body }) => body)).toEqual([{ name: 'a' }, { name: 'a' }, { name: 'a' }]);
});

test.each([
  ['locked', refusal(423, 'locked')],
  ['stock-out', refusal(412, 'resource_unavailable')],
  ['uniqueness', refusal(409, 'uniqueness_error')],
  ['server error', refusal(500, 'server_error')],
  ['500 of a proxy', { status: 500, body: '<html>' }],
  ['503 of a proxy', { status: 503, body: '<html>' }],
])('does not retry a request after: %s', async (_what, answer) => {
  const { http, client } = await setup([answer]);
  await using _ = http;
  await expect(client.request('GET', '/servers', undefined, signal)).rejects.toThrow();
  expect(http.received).toHaveLength(1);
});

test('gives up after five retries', async () => {
  const { http, client } = await setup(Array.from({ length: 9 }, () => refusal(409, 'conflict')));
  await using _ = http;
  await expect(client.request('GET', '/servers', undefined, signal)).rejects.toThrow('no (conflict, c0ffee)');
  expect(http.received).toHaveLength(6);
});

test.each([
  [
    refusal(409, 'uniqueness_error', 'server name is already used'),
    'server name is already used (uniqueness_error, c0ffee)',
  ],
  [{ status: 503, body: '<html>' }, 'hcloud: server responded with status code 503'],
  [
    refusal(422, 'invalid_input', 'invalid input', {
      fields: [{ name: 'name', messages: ['too long', 'bad'] }],
    }),
    'invalid input (invalid_input, c0ffee): [name => [too long bad]]',
  ],
])('words errors like the official client: %#', async (answer, message) => {
  const { http, client } = await setup([answer]);
  await using _ = http;
  await expect(client.request('GET', '/servers', undefined, signal)).rejects.toThrow(
    expect.objectContaining({ message, status: answer.status }),
  );
});

test('puts the operation before the message, and keeps code and status', async () => {
  const failing = named('createServer', () =>
    Promise.reject(new HcloudError('sold out (resource_unavailable)', 'resource_unavailable', 412)),
  );
  await expect(failing).rejects.toMatchObject({
    message: 'hcloud/createServer: sold out (resource_unavailable)',
    code: 'resource_unavailable',
    status: 412,
  });
});

test('polls exactly the actions that still run, until none does', async () => {
  const running = { id: 1, status: 'running' };
  const { http, client } = await setup(
    [
      { body: { actions: [running, { id: 2, status: 'success' }] } },
      { body: { actions: [{ id: 1, status: 'success' }] } },
    ],
    { pollIntervalMs: 1 },
  );
  await using _ = http;
  await client.wait([running, { id: 2, status: 'running' }, { id: 3, status: 'success' }, undefined], signal);
  expect(http.received.map(({ query }) => query.getAll('id'))).toEqual([['1', '2'], ['1']]);
});

test('a failed or unknown action fails the wait', async () => {
  const error = { code: 'action_failed', message: 'Action failed' };
  const failed = { body: { actions: [{ id: 5, status: 'error', error }] } };
  const { http, client } = await setup([failed, { body: { actions: [] } }], { pollIntervalMs: 1 });
  await using _ = http;
  const running = [{ id: 5, status: 'running' }];
  await expect(client.wait(running, signal)).rejects.toThrow('Action failed (action_failed, 5)');
  await expect(client.wait(running, signal)).rejects.toThrow('actions not found: [5]');
});

test('an abort ends a backoff at once', async () => {
  const http = await startFakeHttp(() => refusal(429, 'rate_limit_exceeded'));
  await using _ = http;
  const client = createHcloudClient({ token, endpoint: http.url, retryBaseMs: 60_000 });
  const aborting = new AbortController();
  const request = client.request('GET', '/servers', undefined, aborting.signal);
  await expect.poll(() => http.received.length).toBe(1);
  aborting.abort(new Error('context canceled'));
  await expect(request).rejects.toThrow('context canceled');
});

test('an unreachable service is named in the error', async () => {
  const client = createHcloudClient({ token, endpoint: 'http://127.0.0.1:1' });
  await expect(client.request('GET', '/servers', undefined, signal)).rejects.toThrow(
    /GET "http:\/\/127\.0\.0\.1:1\/servers": .*(ECONNREFUSED|bad port)/,
  );
});

test('settings come from the provider’s arguments first, then from the environment', () => {
  const environment = {
    HCLOUD_TOKEN: token,
    HCLOUD_ENDPOINT: 'http://cloud/v1/',
    HCLOUD_POLL_INTERVAL: '1m0.5s',
  };
  expect(hcloudSettings(environment, {})).toEqual({
    token,
    endpoint: 'http://cloud/v1',
    pollIntervalMs: 60_500,
  });
  const config = { token: 'u'.repeat(64), endpoint: 'http://other' };
  expect(hcloudSettings(environment, config)).toMatchObject(config);
  expect(() => hcloudSettings({ HCLOUD_TOKEN: 'short' }, {})).toThrow(
    'entered token is invalid (must be exactly 64 characters long)',
  );
  expect(() => hcloudSettings({}, {})).toThrow('HCLOUD_TOKEN');
});
