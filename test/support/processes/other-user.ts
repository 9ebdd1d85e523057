/**
 * Performs requests from its channel as another local user. It changes to that user only after loading
 * everything it needs, because the checkout may be unreadable to others.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import grpc from '@grpc/grpc-js';
import pg from 'pg';
import type { Answer, Knock } from '../other-user.ts';

const WAIT_MS = 5_000;

/** Makes a gRPC call: returns OK or the server's status. `UNAVAILABLE`: no gRPC server answered. */
function call({ port, method, message = '' }: Extract<Knock, { kind: 'grpc' }>): Promise<string> {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    'grpc.use_local_subchannel_pool': 1,
  });
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      method,
      (sent: Buffer) => sent,
      (got: Buffer) => got,
      Buffer.from(message, 'base64'),
      { deadline: Date.now() + WAIT_MS },
      (error) => {
        client.close();
        resolve(error === null ? 'OK' : `${grpc.status[error.code]} ${error.details}`);
      },
    );
  });
}

/** Returns a server's first answer to bytes; empty if it closes without one. */
function talk({ port, bytes }: Extract<Knock, { kind: 'bytes' }>): Promise<string> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.from(bytes, 'base64')));
    socket.setTimeout(WAIT_MS, () => socket.destroy());
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
      socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(said));
  });
}

async function request({ url, method, headers, body }: Extract<Knock, { kind: 'http' }>): Promise<string> {
  const signal = AbortSignal.timeout(WAIT_MS);
  const init = { method, headers, redirect: 'manual', signal } as const;
  return String((await fetch(url, body === undefined ? init : { ...init, body })).status);
}

async function logIn({ url }: Extract<Knock, { kind: 'postgres' }>): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: WAIT_MS });
  client.on('error', () => {});
  await client.connect();
  await client.end();
  return 'OK';
}

function openSocket({ path }: Extract<Knock, { kind: 'unix' }>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path.replace(/^@/, '\0'), () => {
      socket.destroy();
      resolve('OK');
    });
    socket.on('error', reject);
  });
}

function read({ path }: Extract<Knock, { kind: 'read' }>): string {
  try {
    return readdirSync(path).join(' ');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOTDIR') throw error;
    return readFileSync(path, 'latin1').slice(0, 100);
  }
}

async function knock(what: Knock): Promise<string> {
  switch (what.kind) {
    case 'grpc':
      return call(what);
    case 'bytes':
      return talk(what);
    case 'http':
      return request(what);
    case 'postgres':
      return logIn(what);
    case 'unix':
      return openSocket(what);
    case 'read':
      return read(what);
  }
}

process.on('message', ({ id, what }: { id: number; what: Knock }) => {
  knock(what)
    .catch((error) => `refused ${error.code ?? error.cause?.code ?? error.message}`)
    .then((answer) => process.send?.({ id, answer } satisfies Answer));
});
process.on('disconnect', () => process.exit());

// Loads now what would be loaded at the first use.
await call({ kind: 'grpc', port: 1, method: '/none/none' });
await fetch('http://127.0.0.1:1').catch(() => {});
const user = Number(process.argv[2]);
if (user !== process.getuid?.()) {
  process.setgroups?.([]);
  process.setgid?.(user);
  process.setuid?.(user);
}
process.send?.({ id: 0, answer: String(process.getuid?.()) } satisfies Answer);
