import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createClient } from '../../src/cli/client.ts';
import { CommandError } from '../../src/cli/connection.ts';
import { Secret } from '../../src/secret.ts';

let server: Server | undefined;
afterEach(() => new Promise((done) => (server ? server.close(done) : done(undefined))));

async function answering(body: string) {
  server = createServer((_request, response) =>
    response.setHeader('content-type', 'application/json').end(body),
  ).listen(0, '127.0.0.1');
  await new Promise((done) => server!.once('listening', done));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return createClient(async () => ({ url, apiToken: new Secret('t') }));
}

test.for([
  ['another version', '{"items":[{}],"nextCursor":null}', 'items.0.agentId'],
  ['another service', '<html>hello</html>', 'the whole answer'],
])('an answer of %s is named, without a stack trace', async ([, body, field]) => {
  const client = await answering(body!);
  for (const asked of [
    client.GET('/api/agents'),
    client.GET('/api/agents', { params: { query: { q: 'a' } } }),
  ]) {
    const error = await asked.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(CommandError);
    expect((error as Error).message).toContain(`(${field}). Is it another version, or another service?`);
  }
});
