// Connects to servers of its own by fetch, http and gRPC, to a Postgres, and to the outside, as a process of
// the service does, in the environment it was started with. Prints each result.
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import grpc from '@grpc/grpc-js';
import pg from 'pg';
import { EnvironmentReader } from '../../../src/config/environment-reader.ts';
import { childEnvironment, useOwnEnvironment } from '../../../src/config/process-environment.ts';

useOwnEnvironment(process.env, childEnvironment(new EnvironmentReader(process.env), ['agents.invalid']));

const server = http.createServer((_request, response) => response.end('answered'));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const outcome = (work: Promise<string>) => work.catch((error: Error) => `failed: ${error.message}`);
const fetched = (url: string) => outcome(fetch(url).then((response) => response.text()));

async function asked(): Promise<string> {
  const [response] = (await once(http.get(`http://localhost:${port}`), 'response')) as [http.IncomingMessage];
  response.resume();
  return String(response.statusCode);
}

async function called(): Promise<string> {
  const own = new grpc.Server();
  const bound = await new Promise<number>((resolve, reject) =>
    own.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, found) =>
      error === null ? resolve(found) : reject(error),
    ),
  );
  const client = new grpc.Client(`127.0.0.1:${bound}`, grpc.credentials.createInsecure());
  await new Promise<void>((resolve, reject) =>
    client.waitForReady(Date.now() + 10_000, (error) => (error ? reject(error) : resolve())),
  );
  client.close();
  own.forceShutdown();
  return 'connected';
}

async function queried(): Promise<string> {
  const client = new pg.Client({ connectionString: process.argv[2] });
  await client.connect();
  const { rows } = await client.query("select current_setting('search_path') as path");
  await client.end();
  return rows[0].path;
}

console.log(
  JSON.stringify({
    fetch: await fetched(`http://127.0.0.1:${port}`),
    http: await outcome(asked()),
    grpc: await outcome(called()),
    postgres: await outcome(queried()),
    own: await fetched('http://agents.invalid'),
    outside: await fetched('https://api.invalid'),
  }),
);
process.exit();
