import { createConnection } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startRemoteService } from '../support/github-callbacks.ts';
import type { TestService } from '../support/http-service.ts';

let service: TestService;
beforeAll(async () => {
  service = await startRemoteService();
});
afterAll(() => service.stop());

/** Announces a body, sends a part of it and disconnects. */
function abort(path: string): void {
  const { hostname, port } = new URL(service.url);
  const socket = createConnection(Number(port), hostname, () => {
    const head = [
      `POST ${path} HTTP/1.1`,
      `host: ${hostname}`,
      'content-type: application/json',
      'content-length: 500',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n{"job_id":`, () => socket.resetAndDestroy());
  });
}

it.each([
  ['/api/webhooks/stripe', 'stripe.refused'],
  ['/api/webhooks/github', 'callback.refused'],
  ['/api/runner/claim', 'callback.refused'],
  ['/api/runner/record', 'callback.refused'],
])('%s: a sender that disconnects half way does not count as a database outage', async (path, event) => {
  service.logged.length = 0;
  abort(path);
  await expect.poll(() => service.logged.filter((line) => line.event === event)).toHaveLength(1);
  expect(service.logged.find((line) => line.event === event)).toMatchObject({ status: 400, level: 40 });
  expect(JSON.stringify(service.logged)).not.toContain('database');
});
