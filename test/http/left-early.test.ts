import { once } from 'node:events';
import { connect } from 'node:net';
import express, { type RequestHandler } from 'express';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createAuthentication } from '../../src/http/authentication.ts';
import { openEventStream } from '../../src/http/event-stream.ts';
import { API_TOKEN, startService, type TestService } from '../support/http-service.ts';

let service: TestService;
beforeEach(async () => {
  service = await startService();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await service.stop();
});

/** Calls `handle` with a request whose client has already disconnected. */
async function answerTheGone(headers: Record<string, string>, handle: RequestHandler): Promise<void> {
  const app = express();
  const left = Promise.withResolvers<Parameters<RequestHandler>>();
  app.get('/', (request, response, next) => {
    response.once('close', () => left.resolve([request, response, next]));
    client.destroy();
  });
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as { port: number }).port, '127.0.0.1');
  const lines = Object.entries({ host: '127.0.0.1', ...headers }).map((header) => header.join(': '));
  client.write(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  try {
    await handle(...(await left.promise));
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

test('a stream for a disconnected client ends at once', async () => {
  await answerTheGone({}, (request, response) => {
    const clear = vi.spyOn(globalThis, 'clearInterval');
    expect(openEventStream(request, response, undefined).signal.aborted).toBe(true);
    expect(clear).toHaveBeenCalledOnce();
  });
});

test('the session of a disconnected client is not polled', async () => {
  const signedIn = await fetch(`${service.url}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams({ token: API_TOKEN }),
  });
  const cookie = signedIn.headers.get('set-cookie')!.split(';')[0]!;
  const { requirePrincipal } = createAuthentication(service.deps);
  const passed = vi.fn();
  await answerTheGone({ cookie }, async (request, response) => {
    const repeat = vi.spyOn(globalThis, 'setInterval');
    await requirePrincipal(request, response, passed);
    expect(repeat).not.toHaveBeenCalled();
  });
  expect(passed).toHaveBeenCalledExactlyOnceWith();
});
