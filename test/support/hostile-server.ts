import { createServer, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { onTestFinished } from 'vitest';

/** What a hostile, broken or dying server does to a connection once a request has begun. */
type Behaviour = (socket: Socket, own: { port: number }) => void;

/** When a flood stops, so that a client without a limit does not take down the test machine. */
export const FLOOD_BYTES = 512 * 1024 * 1024;
const MEGABYTE = 'x'.repeat(1024 * 1024);
const OK = 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n';

const once =
  (text: string | Buffer): Behaviour =>
  (socket) =>
    void socket.write(text);

const last =
  (text: string): Behaviour =>
  (socket) =>
    void socket.end(text);

/** Sends the same bytes over and over, as fast as they are read. */
const flood =
  (head: string, chunk: string): Behaviour =>
  (socket) => {
    const block = Buffer.from(chunk.repeat(Math.ceil(65_536 / chunk.length)));
    const more = () => {
      while (socket.writable && socket.bytesWritten < FLOOD_BYTES) if (!socket.write(block)) return;
      if (socket.bytesWritten >= FLOOD_BYTES) socket.destroy();
    };
    socket.write(head);
    socket.on('drain', more);
    more();
  };

/** Sends the first byte at once, then one a second. */
const drip =
  (head: string, text: string): Behaviour =>
  (socket) => {
    socket.write(head);
    const bytes = text[Symbol.iterator]();
    const next = () => socket.write(bytes.next().value ?? ' ');
    const timer = setInterval(next, 1000);
    socket.on('close', () => clearInterval(timer));
    next();
  };

const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;

export const BEHAVIOURS = {
  'switches protocols': once(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  ),
  'switches protocols and leaves': last(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
  ),
  'says 100 without end': flood('', 'HTTP/1.1 100 Continue\r\n\r\n'),
  'says 103 without end': flood('', 'HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n'),
  'drips its head': drip('', `${OK}x-filler: ${'x'.repeat(1000)}`),
  'drips its body': drip(`${OK}content-length: 1000\r\n\r\n`, '{"servers":['),
  'stops in its head': once(`${OK}content-len`),
  'stops in its body': once(`${OK}content-length: 1000\r\n\r\n{"servers":[`),
  'has a header of a megabyte': once(`${OK}x-filler: ${MEGABYTE}\r\ncontent-length: 2\r\n\r\n{}`),
  'has headers without end': flood(OK, `x-filler: ${'x'.repeat(100)}\r\n`),
  'sends 10 MB': last(`${OK}content-length: ${10 * MEGABYTE.length + 2}\r\n\r\n"${MEGABYTE.repeat(10)}"`),
  'sends without end': flood(`${OK}transfer-encoding: chunked\r\n\r\n`, chunked('x'.repeat(1000))),
  'sends what unpacks to 256 MB': (socket) => {
    socket.write(`${OK}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
    socket.write(bomb);
  },
  'redirects elsewhere': last(
    'HTTP/1.1 302 Found\r\nlocation: http://127.0.0.2:9/\r\ncontent-length: 0\r\n\r\n',
  ),
  'redirects to itself': (socket, { port }) => {
    const location = `http://127.0.0.1:${port}/again`;
    socket.end(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${location}\r\ncontent-length: 0\r\n\r\n`);
  },
  // A unix socket cannot be reset.
  'resets the connection': (socket) =>
    void (socket.remoteFamily === undefined ? socket.destroy() : socket.resetAndDestroy()),
  'is silent': () => {},
  'closes at once': last(''),
  'promises more than it sends': last(`${OK}content-length: 1000\r\n\r\n{"servers":[]}`),
  'says no status that there is': last('HTTP/1.1 999 Whatever\r\ncontent-length: 2\r\n\r\n{}'),
  'speaks no HTTP': last(`${'SSH-3.0-nothing '.repeat(20)}\r\n`),
  'sends no JSON': last(`${OK}content-length: 6\r\n\r\n<html>`),
  'sends half of its JSON': last(`${OK}content-length: 13\r\n\r\n{"servers":[{`),
  'sends JSON of another shape': last(`${OK}content-length: 9\r\n\r\n[null, 7]`),
  'sends null': last(`${OK}content-length: 4\r\n\r\nnull`),
  'fails with a novel': last(
    `HTTP/1.1 500 Oh no\r\ncontent-length: ${MEGABYTE.length + 14}\r\n\r\n{"message":"${MEGABYTE}"}`,
  ),
} satisfies Record<string, Behaviour>;
export type BehaviourName = keyof typeof BEHAVIOURS;

/** Members of a gzip file unpack one after the other: to pack one of them is enough. */
const bomb = Buffer.concat(Array(256).fill(gzipSync(Buffer.alloc(1024 * 1024))));

export interface HostileServer {
  port: number;
  url: string;
  /** Number of open connections. */
  open(): number;
  /** Bytes accepted by its connections in total, including the kernel's buffers. */
  sent(): number;
}

/** Treats every connection this way. Listens on a port of 127.0.0.1, or on a unix socket. */
export async function startHostileServer(name: BehaviourName, socketPath?: string): Promise<HostileServer> {
  const behaviour: Behaviour = BEHAVIOURS[name];
  const sockets = new Set<Socket>();
  let finished = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => {
      sockets.delete(socket);
      finished += socket.bytesWritten;
    });
    socket.once('data', () => behaviour(socket, { port }));
  });
  await new Promise<void>((resolve) => {
    if (socketPath === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(socketPath, resolve);
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    open: () => sockets.size,
    sent: () => [...sockets].reduce((sum, { bytesWritten }) => sum + bytesWritten, finished),
  };
}

/** Waits until no connection is open. */
export async function untilClosed(server: HostileServer): Promise<void> {
  while (server.open() > 0) await pause(10);
}
