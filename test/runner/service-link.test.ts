import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { LostError, PermanentError } from '../../src/errors.ts';
import { signBody } from '../../src/executors/github-actions/callback-signature.ts';
import { createServiceLink } from '../../src/runner/service-link.ts';
import { Secret } from '../../src/secret.ts';

const callbackSecret = new Secret('callback secret of the tests');
const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A service that answers with these statuses, then with 200. */
async function startService(...statuses: number[]) {
  const asked: { url: string; body: string; signature: unknown }[] = [];
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString();
    asked.push({ url: request.url ?? '', body, signature: request.headers['x-signature'] });
    response.statusCode = statuses.shift() ?? 200;
    response.end(JSON.stringify(response.statusCode === 200 ? { received: true } : { error: 'why not' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => server.close());
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const link = createServiceLink({
    callbackUrl: `${origin}/base/api/webhooks/github?attempt=2&token=abc`,
    callbackSecret,
    jobId: 'j1',
    workflowRunId: '9',
  });
  return { link, asked };
}

test('every message is signed, names its sender, and keeps the address’s query', async () => {
  const { link, asked } = await startService();
  await link.send('status', { status: 'provisioning', step: 'ü' });
  await link.send('claim', {});
  await link.send('record', { record: { kind: 'alive' } });
  expect(asked.map(({ url }) => url)).toEqual([
    '/base/api/webhooks/github?attempt=2&token=abc',
    '/base/api/runner/claim?attempt=2&token=abc',
    '/base/api/runner/record?attempt=2&token=abc',
  ]);
  expect(JSON.parse(asked[0]!.body)).toEqual({
    job_id: 'j1',
    workflow_run_id: '9',
    status: 'provisioning',
    step: 'ü',
  });
  for (const { body, signature } of asked) expect(signature).toBe(signBody(callbackSecret, body));
});

test('a call is retried while the service is briefly away', async () => {
  const { link, asked } = await startService(503, 500);
  expect(await link.send('status', {})).toEqual({ received: true });
  expect(asked).toHaveLength(3);
});

test('a message fails once the service has been away for too long', async () => {
  const { link } = await startService(...Array<number>(50).fill(503));
  await expect(link.send('status', {}, { patienceSeconds: 0.1 })).rejects.toThrow('503');
});

test.each([
  [409, LostError],
  [404, LostError],
  [401, PermanentError],
  [400, PermanentError],
])('%i is final', async (status, type) => {
  const { link, asked } = await startService(status);
  const error = await link.send('status', {}).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(type);
  expect(asked).toHaveLength(1);
});
