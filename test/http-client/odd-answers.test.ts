import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { RetryableError } from '../../src/errors.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { parseAnswer } from '../../src/http-client/answer.ts';
import { HttpError, requestJson } from '../../src/http-client/request.ts';
import { Secret } from '../../src/secret.ts';
import { AccountHiddenError, readStripeAccount } from '../../src/stripe/account.ts';
import { createTailscaleClient, UnknownTailnetError } from '../../src/tailscale/tailscale.ts';

let answer: { status: number; body: unknown };
let url: string;
let close: () => Promise<unknown>;
beforeEach(async () => {
  const server = createServer((_request, response) => {
    response.writeHead(answer.status).end(JSON.stringify(answer.body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  close = () => new Promise((resolve) => server.close(resolve));
});
afterEach(() => close());

const getError = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test('an error’s code is one short line, whatever the answer contains', async () => {
  answer = { status: 422, body: { error: { code: `a\nb${'c'.repeat(10_000)}`, message: 'x' } } };
  const error = await getError(requestJson({ method: 'GET', url, headers: {} }));
  expect(error).toBeInstanceOf(HttpError);
  expect((error as HttpError).code).toMatch(/^a bc{400,500}$/);
});

test('a mismatch is described in one line, even with a hostile key in the answer', () => {
  const named = () => parseAnswer(z.record(z.string(), z.number()), { 'a\u001b[2J\nb': 'x' }, 'Somebody');
  expect(named).toThrow(/^Somebody sent an unexpected answer: a \[2J b: /);
});

test.each([
  ['Stripe, an account', () => readStripeAccount({ secretKey: new Secret('k'), apiUrl: url })],
  [
    'Hetzner, the actions of a firewall',
    () =>
      createHetznerClient({ endpoint: url, token: new Secret('t') }).applyFirewall(1, '2', {
        wait: true,
        signal: AbortSignal.timeout(30_000),
      }),
  ],
])('an answer of another shape is retried: %s', async (_name, ask) => {
  answer = { status: 200, body: { id: 7, actions: 'none' } };
  expect(await getError(ask())).toBeInstanceOf(RetryableError);
});

test('a key that may not read its account is still accepted', async () => {
  const ask = (status: number) => {
    answer = { status, body: {} };
    return getError(readStripeAccount({ secretKey: new Secret('k'), apiUrl: url }));
  };
  expect(await ask(403)).toBeInstanceOf(AccountHiddenError);
  expect(await ask(401)).not.toBeInstanceOf(AccountHiddenError);
});

test.each([
  [404, true],
  [400, true],
  [500, false],
])('a %i for the tailnet means that it does not exist: %s', async (status, isUnknown) => {
  answer = { status, body: { message: 'no such tailnet' } };
  const client = createTailscaleClient({
    credential: { kind: 'api-key', key: new Secret('k') },
    tailnet: 'other.example',
    baseUrl: url,
    loginServer: undefined,
  });
  expect((await getError(client.listKeys())) instanceof UnknownTailnetError).toBe(isUnknown);
});
