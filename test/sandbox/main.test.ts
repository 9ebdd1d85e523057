import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { get } from 'node:http';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SandboxAnswer, SandboxStartMessage } from '../../sandbox/main.ts';
import { becomeOtherUser, needsRoot } from '../support/other-user.ts';
import { createDatabase, type TestDatabase } from '../support/postgres.ts';
import { createClient, startReceiver, subscriptionSession, tokens, until } from '../support/sandbox.ts';

const main = fileURLToPath(new URL('../../sandbox/main.ts', import.meta.url));

let database: TestDatabase;
let receiver: Awaited<ReturnType<typeof startReceiver>>;
const children: ChildProcess[] = [];

beforeEach(async () => {
  database = await createDatabase();
  receiver = await startReceiver();
});
afterEach(async () => {
  for (const child of children.splice(0)) await kill(child, 'SIGKILL');
  receiver.close();
  await database.drop();
});

async function start(change: Partial<SandboxStartMessage> = {}) {
  const child = fork(main, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const message: SandboxStartMessage = {
    type: 'start',
    databaseUrl: database.url,
    port: 0,
    tokens,
    webhookUrl: receiver.url,
    settings: { webhookRetryMs: 50 },
    ...change,
  };
  child.send(message);
  const [answer] = (await once(child, 'message')) as [SandboxAnswer];
  return { child, answer };
}

async function startReady(change: Partial<SandboxStartMessage> = {}) {
  const { child, answer } = await start(change);
  if (answer.type !== 'ready') throw new Error(answer.message);
  return { child, url: answer.url };
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.kill(signal);
  return (await exited)[0];
}

test('serves every area, and reports unknown paths in that area’s own form', async () => {
  const { url } = await startReady();
  const as = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } });
  const answers = await Promise.all([
    fetch(`${url}/hetzner/v1/servers`, as(tokens.hcloudToken)),
    fetch(`${url}/tailscale/api/v2/tailnet/-/devices`, as(tokens.tailscaleApiKey)),
    fetch(`${url}/v1/customers`, as(tokens.stripeSecretKey)),
    fetch(`${url}/checkout`),
    fetch(`${url}/sandbox/faults`),
    fetch(`${url}/sandbox/stripe/deliveries`),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
  const body = async (path: string, token: string) => (await fetch(url + path, as(token))).json();
  expect(await body('/hetzner/v1/nothing', tokens.hcloudToken)).toMatchObject({
    error: { code: 'not_found' },
  });
  expect(await body('/tailscale/api/v2/nothing', tokens.tailscaleApiKey)).toEqual({
    message: expect.any(String),
  });
  expect(await body('/v1/nothing', tokens.stripeSecretKey)).toMatchObject({
    error: { type: 'invalid_request_error' },
  });
  expect(await body('/nothing', '')).toMatchObject({ status: 404 });
});

test('answers only to loopback’s names, in every area', async () => {
  const { url } = await startReady();
  const status = (host: string, path: string) =>
    new Promise((resolve, reject) => {
      get(url + path, { headers: { host } }, (answer) => resolve(answer.resume().statusCode)).on(
        'error',
        reject,
      );
    });
  for (const path of ['/sandbox/faults', '/checkout', '/hetzner/v1/servers', '/v1/customers', '/nothing'])
    for (const host of ['rebound.example', 'rebound.example:80', '127.0.0.1.example', 'localhost.example'])
      expect(`${host} ${path} ${await status(host, path)}`).toBe(`${host} ${path} 421`);
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', '[::1]:80'])
    expect(`${host} ${await status(host, '/sandbox/faults')}`).toBe(`${host} 200`);
});

test('only its own user, root and configured users reach its controls; anyone can read a machine’s health', async ({
  skip,
}) => {
  skip(needsRoot !== undefined, needsRoot);
  await using other = await becomeOtherUser();
  const asOther = (url: string, method = 'GET') => other.try({ kind: 'http', url, method, headers: {} });
  const { url } = await startReady();
  for (const path of ['/sandbox/faults', '/sandbox/network', '/sandbox/stripe/deliveries', '/checkout']) {
    expect(`${path} ${await asOther(url + path)}`).toBe(`${path} 403`);
    expect(`${path} ${(await fetch(url + path)).status}`).toBe(`${path} 200`);
  }
  for (const path of ['/sandbox/faults', '/checkout', '/checkout/cs_test_1'])
    expect(`${path} ${await asOther(url + path, 'POST')}`).toBe(`${path} 403`);
  expect(await asOther(`${url}/sandbox/machines/100.64.0.1/health`)).toBe('503');

  const open = await startReady({ users: [65534] });
  expect(await asOther(`${open.url}/checkout`)).toBe('200');
}, 60_000);

test('a fault can hit the health address of a simulated machine', async () => {
  const { url } = await startReady();
  const fault = { area: 'machines', path: '/*/health', effect: { kind: 'status', status: 500 } };
  const headers = { 'Content-Type': 'application/json' };
  const ordered = await fetch(`${url}/sandbox/faults`, {
    method: 'POST',
    headers,
    body: JSON.stringify(fault),
  });
  expect(ordered.status).toBe(201);
  const health = async () => (await fetch(`${url}/sandbox/machines/100.64.0.1/health`)).status;
  expect([await health(), await health()]).toEqual([500, 503]);
});

test('a fault only hits the area it was ordered for', async () => {
  const { url } = await startReady();
  await fetch(`${url}/sandbox/faults`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ area: 'stripe', path: '/customers', effect: { kind: 'status', status: 500 } }),
  });
  const stripe = createClient(url);
  await expect(stripe.customers.list()).rejects.toMatchObject({ statusCode: 500 });
  expect((await stripe.customers.list()).data).toEqual([]);
});

test('after a SIGKILL, the next sandbox delivers pending events', async () => {
  const first = await startReady();
  receiver.answers.push(503, 503, 503, 'hang', 'hang', 'hang');
  const { id } = await createClient(first.url).checkout.sessions.create(subscriptionSession);
  expect((await fetch(`${first.url}/checkout/${id}`, { method: 'POST', redirect: 'manual' })).status).toBe(
    303,
  );
  await until(() => receiver.received.length === 6);
  await kill(first.child, 'SIGKILL');
  receiver.received.length = 0;

  const second = await startReady();
  await until(() => receiver.received.length === 3);
  expect(receiver.types()).toEqual([
    'checkout.session.completed',
    'customer.subscription.created',
    'invoice.paid',
  ]);
  const session = await createClient(second.url).checkout.sessions.retrieve(id);
  expect(session).toMatchObject({ status: 'complete', payment_status: 'paid' });
});

test('exits on SIGTERM even with open connections, and ignores SIGINT', async () => {
  const { child, url } = await startReady();
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  child.kill('SIGINT');
  expect((await fetch(`${url}/checkout`)).status).toBe(200);
  const before = Date.now();
  expect(await kill(child, 'SIGTERM')).toBe(0);
  // Its hard exit, for a stop that hangs, comes after five seconds.
  expect(Date.now() - before).toBeLessThan(4_900);
});

test('exits when its parent is gone', async () => {
  const { child } = await startReady();
  const exited = once(child, 'exit');
  child.disconnect();
  expect((await exited)[0]).toBe(0);
});

test('reports errors in a start message without its secrets, and why it cannot start', async () => {
  const malformed = await start({ tokens: { ...tokens, stripeSecretKey: '' }, port: 70_000 });
  expect(malformed.answer.type).toBe('failed');
  const message = JSON.stringify(malformed.answer);
  expect(message).toContain('tokens.stripeSecretKey');
  expect(message).toContain('port');
  expect(message).not.toContain(tokens.stripeWebhookSecret);

  const { url } = await startReady();
  const taken = await start({ port: Number(new URL(url).port) });
  expect(taken.answer).toMatchObject({ type: 'failed', message: expect.stringContaining('EADDRINUSE') });
  await until(() => taken.child.exitCode === 1);
});
