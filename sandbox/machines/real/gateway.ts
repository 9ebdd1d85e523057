/**
 * The process that holds the network namespace of the machines' internet. It configures the namespace's
 * addresses, serves the metadata address (asking the sandbox over the channel, by the caller's address), and
 * lets the sandbox connect into the namespace: HTTP's CONNECT on the socket `gate.sock` in its working
 * folder. It ends with the channel.
 */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CONTROL_ADDRESS, GATE, LOGIN_ADDRESS, METADATA_ADDRESS } from './addresses.ts';

/** Asks the sandbox for the path that a machine requests, by the machine's address. */
export interface MetadataQuestion {
  type: 'metadata';
  id: string;
  path: string;
  address: string;
}
export interface MetadataAnswer {
  id: string;
  status: number;
  body: string;
}
export type GatewayMessage = { type: 'ready' } | MetadataQuestion;

const ANSWER_TIMEOUT_MS = 10_000;

function configureNetwork(): void {
  const run = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  run('link', 'set', 'lo', 'up');
  for (const address of [CONTROL_ADDRESS, LOGIN_ADDRESS, METADATA_ADDRESS])
    run('address', 'add', `${address}/32`, 'dev', 'lo');
  // Routes between machines; rp_filter drops packets whose sender address is not the machine's.
  const settings = { ip_forward: '1', 'conf/all/rp_filter': '1', 'conf/default/rp_filter': '1' };
  for (const [name, value] of Object.entries(settings)) writeFileSync(`/proc/sys/net/ipv4/${name}`, value);
  try {
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  } catch {
    // The host has no IPv6.
  }
}

const waiting = new Map<string, ServerResponse>();

const metadata = createServer((request, response) => {
  const id = randomUUID();
  waiting.set(id, response);
  response.once('close', () => waiting.delete(id));
  const address = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  process.send?.({ type: 'metadata', id, path: request.url ?? '/', address } satisfies MetadataQuestion);
  setTimeout(answer, ANSWER_TIMEOUT_MS, { id, status: 503, body: '' }).unref();
});

function answer({ id, status, body }: MetadataAnswer): void {
  waiting.get(id)?.writeHead(status, { 'content-type': 'text/plain' }).end(body);
  waiting.delete(id);
}

const gate = createServer((_request, response) => {
  response.writeHead(405).end();
});
gate.on('connect', (request, client: Duplex) => {
  const [host = '', port = ''] = (request.url ?? '').split(':');
  const there: Socket = connect({ host, port: Number(port) });
  there.once('connect', () => {
    client.write('HTTP/1.1 200 Connected\r\n\r\n');
    client.pipe(there).pipe(client);
  });
  there.on('error', (error: NodeJS.ErrnoException) => client.end(`HTTP/1.1 502 ${error.code}\r\n\r\n`));
  client.on('error', () => there.destroy());
  client.on('close', () => there.destroy());
  there.on('close', () => client.destroy());
});

process.on('SIGINT', () => undefined);
process.on('disconnect', () => process.exit());
process.on('message', answer);
configureNetwork();
rmSync(GATE, { force: true });
metadata.listen(80, METADATA_ADDRESS, () => {
  gate.listen(GATE, () => process.send?.({ type: 'ready' } satisfies GatewayMessage));
});
