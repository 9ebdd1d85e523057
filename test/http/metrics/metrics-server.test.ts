import { createServer } from 'node:net';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { openMetricsServer } from '../../../src/http/metrics/metrics-server.ts';
import { Secret } from '../../../src/secret.ts';
import { observeCall } from '../../../src/telemetry/observations.ts';

const apiToken = new Secret('token-of-the-operator');
const silent = pino({ level: 'silent' });

it('serves the metrics of its process to the operator alone', async () => {
  observeCall({ vendor: 'stripe', method: 'GET', status: undefined, seconds: 3, headers: undefined });
  const server = openMetricsServer({ host: '127.0.0.1', port: 0, apiToken, log: silent });
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
  await server.stop();
});

it('a port that is taken costs the metrics alone, and is said', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as { port: number };
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => logged.push(line) });
  const server = openMetricsServer({ host: '127.0.0.1', port, apiToken, log });
  expect(await server.port).toBeUndefined();
  expect(logged.join('')).toContain('metrics.no_port');
  await server.stop();
  other.close();
});
