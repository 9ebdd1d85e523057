import { expect, onTestFinished, test } from 'vitest';
import { openWebServer } from '../../src/http/web-server.ts';

const loopback = { host: '127.0.0.1', port: 0 };

test('requests are told to retry until there is an app, which then answers all of them', async () => {
  const server = await openWebServer(loopback, false);
  onTestFinished(server.close);
  const ask = (init?: RequestInit) => fetch(`http://127.0.0.1:${server.port}/healthz`, init);
  for (const init of [{}, { method: 'POST', body: 'x'.repeat(100_000) }]) {
    const early = await ask(init);
    expect([early.status, early.headers.get('content-type'), early.headers.get('retry-after')]).toEqual([
      503,
      'application/problem+json',
      '5',
    ]);
    expect(await early.json()).toMatchObject({ status: 503, detail: expect.stringContaining('starting') });
  }
  server.serve((_request, response) => response.end('served'));
  expect(await (await ask()).text()).toBe('served');
});

test('a port in use is reported with its fix and its likely holder', async () => {
  const first = await openWebServer(loopback, false);
  onTestFinished(first.close);
  const again = { ...loopback, port: first.port };
  await expect(openWebServer(again, false)).rejects.toThrow(
    `Port ${first.port} is in use by another program. Choose another: PORT=8081 npm start`,
  );
  await expect(openWebServer(again, true)).rejects.toThrow(/the process that runs this installation already/);
});
