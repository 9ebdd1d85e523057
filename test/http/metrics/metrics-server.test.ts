import { createServer } from 'node:net';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { openMetricsServer } from '../../../src/http/metrics/metrics-server.ts';
import { Secret } from '../../../src/secret.ts';
import { observeCall } from '../../../src/telemetry/observations.ts';

const apiToken = new Secret('token-of-the-operator');
const viewerToken = new Secret('token-of-the-viewer');
const tokens = [apiToken, viewerToken];
const silent = pino({ level: 'silent' });

it('serves the metrics of its process to the operator and the viewer alone', async () => {
  observeCall({ vendor: 'stripe', method: 'GET', status: undefined, seconds: 3, headers: undefined });
  const server = openMetricsServer({ host: '127.0.0.1', port: 0, tokens, log: silent });
  const url = `http://127.0.0.1:${await server.port}`;
  const ask = (path: string, token: string) =>
    fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } });
  const answer = await ask('/metrics', apiToken.reveal());
  expect(answer.headers.get('content-type')).toContain('text/plain');
  const text = await answer.text();
  expect(text).toContain(
    'agent_stacks_vendor_call_duration_seconds_bucket{le="5",vendor="stripe",method="GET",outcome="no_answer"} 1\n',
  );
  expect(text).not.toContain('agent_stacks_agents{');
  for (const token of ['', 'another', `${apiToken.reveal()}x`])
    expect((await ask('/metrics', token)).status).toBe(401);
  expect((await ask('/', apiToken.reveal())).status).toBe(404);
  expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' });
  await server.stop();
});

it('limits wrong tokens, and no right ones', async () => {
  const server = openMetricsServer({ host: '127.0.0.1', port: 0, tokens, log: silent });
  const url = `http://127.0.0.1:${await server.port}/metrics`;
  const ask = (token: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } });
  const statuses: number[] = [];
  for (let time = 0; time < 11; time += 1) statuses.push((await ask('a guess')).status);
  expect(statuses).toEqual([...Array(10).fill(401), 429]);
  expect(Number((await ask('a-guess')).headers.get('retry-after'))).toBeGreaterThan(0);
  for (const token of tokens) expect((await ask(token.reveal())).status).toBe(200);
  await server.stop();
});

it('a port that is taken costs the metrics alone, and is said', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => logged.push(line) });
  const server = openMetricsServer({ host: '127.0.0.1', port, tokens, log });
  expect(await server.port).toBeUndefined();
  expect(logged.join('')).toContain('metrics.no_port');
  await server.stop();
  other.close();
});
