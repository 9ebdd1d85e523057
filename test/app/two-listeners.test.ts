import type { Express } from 'express';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { API_DOCUMENT, createOperatorApp, createPublicApp } from '../../src/app/api.ts';
import { createStatusLinks } from '../../src/dashboard/buyer/status-links.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';
import { addPerson, signIn } from '../support/people.ts';
import { deliver, paidCheckout } from '../support/stripe-events.ts';

/**
 * With OPERATOR_PORT: webhooks, health and buyers’ pages on one listener, dashboard and API on the other.
 */
const OPERATOR_URL = 'https://agents.tail.test';
let service: TestService;
let outside: { url: string; close(): void };
let inside: { url: string; close(): void };

beforeAll(async () => {
  service = await startService({ operatorUrl: OPERATOR_URL, publicUrl: 'https://agents.example.com' });
  outside = await listen(createPublicApp(service.deps));
  inside = await listen(createOperatorApp(service.deps));
});
afterAll(async () => {
  outside?.close();
  inside?.close();
  await service?.stop();
});

async function listen(app: Express) {
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

const AS_ADMIN = { authorization: `Bearer ${API_TOKEN}` };
const ask = (at: { url: string }, path: string, init: RequestInit = {}) =>
  fetch(at.url + path, { redirect: 'manual', headers: AS_ADMIN, ...init });

test('the public listener answers 404 for everything of operators, with and without a token', async () => {
  const routes = Object.entries(API_DOCUMENT.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, { 'x-least-role': string }>).map(
      ([method, { 'x-least-role': least }]) => ({
        method: method.toUpperCase(),
        path: path.replaceAll(/\{\w+\}/g, 'x'),
        least,
      }),
    ),
  );
  const open = routes.filter(
    ({ least, path }) => least === 'signature' || path === '/healthz' || path === '/readyz',
  );
  expect(open).toHaveLength(6);
  for (const { method, path } of routes.filter((route) => !open.includes(route)))
    for (const headers of [{}, AS_ADMIN])
      expect([method, path, (await ask(outside, path, { method, headers })).status]).toEqual([
        method,
        path,
        404,
      ]);
  const pages = [
    '/',
    '/agents',
    '/agents/x',
    '/attention',
    '/people',
    '/sign-in',
    '/sign-in/oidc',
    '/reference',
    '/design',
  ];
  for (const path of [...pages, '/readyz?verbose'])
    expect([path, (await ask(outside, path)).status]).toEqual([path, 404]);
  for (const path of ['/sign-in', '/sign-out', '/people', '/agents/x/restart'])
    expect([path, (await ask(outside, path, { method: 'POST' })).status]).toEqual([path, 404]);
});

test('the public listener takes webhooks, says whether it is well, and shows buyers their page', async () => {
  const { agentId } = (await (
    await service.ask('/api/agents', { json: { userId: 'u', region: 'eu-west' } })
  ).json()) as { agentId: string };
  const delivered = await deliver(outside.url, paidCheckout({ region: 'moon' }));
  expect(delivered.status).toBe(200);
  for (const path of ['/healthz', '/readyz'])
    expect((await ask(outside, path, { headers: {} })).status).toBe(200);
  const { statusUrl } = createStatusLinks({
    apiToken: service.deps.apiToken,
    publicUrl: 'https://agents.example.com',
  });
  const link = new URL(statusUrl(agentId));
  expect((await ask(outside, link.pathname + link.search, { headers: {} })).status).toBe(200);
  expect((await ask(inside, link.pathname + link.search)).status).toBe(404);
});

test('the operators’ listener has dashboard and API, and takes no webhooks', async () => {
  for (const path of [
    '/',
    '/agents',
    '/people',
    '/api/agents',
    '/metrics',
    '/openapi.json',
    '/reference',
    '/healthz',
    '/readyz?verbose',
  ])
    expect([path, (await ask(inside, path)).status]).toEqual([path, 200]);
  expect((await ask(inside, '/readyz?verbose', { headers: {} })).status).toBe(401);
  for (const path of [
    '/api/webhooks/stripe',
    '/api/webhooks/github',
    '/api/runner/claim',
    '/api/runner/record',
  ])
    expect([path, (await ask(inside, path, { method: 'POST' })).status]).toEqual([path, 404]);
});

test('cookies and the check of the origin follow its own address', async () => {
  const { token } = await addPerson(service, 'ada', 'admin');
  const submit = (origin: string) =>
    fetch(`${inside.url}/sign-in`, {
      method: 'POST',
      redirect: 'manual',
      headers: { origin },
      body: new URLSearchParams({ token }),
    });
  expect((await submit('https://agents.example.com')).status).toBe(403);
  const signedIn = await submit(OPERATOR_URL);
  expect(signedIn.status).toBe(303);
  expect(signedIn.headers.get('set-cookie')).toContain('; Secure');
  const session = await signIn(inside, token);
  expect((await ask(inside, '/api/people', { headers: session })).status).toBe(200);
});

test('buyers’ links on the dashboard lead to the public address', async () => {
  const { agentId } = (await (
    await service.ask('/api/agents', { json: { userId: 'u', region: 'eu-west' } })
  ).json()) as { agentId: string };
  expect(await (await ask(inside, `/agents/${agentId}`)).text()).toContain(
    `href="https://agents.example.com/status/${agentId}?token=`,
  );
});
