import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { beforeEach, expect, test } from 'vitest';
import { type Ends, peerUserId } from '../../src/processes/peer-user.ts';
import { becomeOtherUser, needsRoot } from '../support/other-user.ts';

beforeEach(({ skip }) => {
  skip(process.platform !== 'linux', 'only Linux has this table of connections');
});

/** A server that keeps its connections open. */
async function listen(address = '127.0.0.1') {
  const accepted: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    accepted.push(socket);
  }).listen(0, address);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    accepted: async () => {
      await expect.poll(() => accepted.length).toBeGreaterThan(0);
      return accepted.shift()!;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of accepted) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('the peer of a local connection is this user', async () => {
  await using server = await listen();
  const client = connect(server.port, '127.0.0.1');
  const socket = await server.accepted();
  expect(peerUserId(socket)).toBe(process.getuid?.());
  socket.destroy();
  client.destroy();
});

test('finds each of many connections, wherever it is in the table', async () => {
  await using server = await listen();
  const clients = Array.from({ length: 80 }, () => connect(server.port, '127.0.0.1'));
  for (const _ of clients) {
    const socket = await server.accepted();
    expect(peerUserId(socket)).toBe(process.getuid?.());
    socket.destroy();
  }
  for (const client of clients) client.destroy();
});

test('works over IPv6, and over IPv4 to a dual-stack server', async ({ skip }) => {
  const addresses = Object.values(networkInterfaces())
    .flat()
    .flatMap((one) => (one?.family === 'IPv6' && one.scopeid === 0 ? [one.address] : []));
  skip(addresses.length === 0, 'this machine has no IPv6');
  for (const [listened, address] of [...addresses.map((one) => [one, one]), ['::', '127.0.0.1']]) {
    await using server = await listen(listened);
    const client = connect(server.port, address!);
    const socket = await server.accepted();
    expect([address, peerUserId(socket)]).toEqual([address, process.getuid?.()]);
    const { localPort, remotePort, remoteAddress } = socket;
    const elsewhere = { localAddress: '::2', localPort, remoteAddress, remotePort } as Ends;
    expect(peerUserId(elsewhere)).toBeUndefined();
    socket.destroy();
    client.destroy();
  }
});

test('recognises another user as the peer', async ({ skip }) => {
  skip(needsRoot !== undefined, needsRoot);
  await using server = await listen();
  await using other = await becomeOtherUser();
  const said = other.try({ kind: 'bytes', port: server.port, bytes: 'aGVsbG8=' });
  const socket = await server.accepted();
  expect(peerUserId(socket)).toBe(65534);
  socket.destroy();
  expect(await said).toBe('');
}, 60_000);

test('a closed peer has no user, although the kernel reports root', async () => {
  await using server = await listen();
  const client = connect(server.port, '127.0.0.1');
  await once(client, 'connect');
  const socket = await server.accepted();
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  client.destroy();
  await once(socket, 'end');
  expect(peerUserId({ localAddress, localPort, remoteAddress, remotePort } as Socket)).toBeUndefined();
  socket.destroy();
});

test('a connection from the same port to another address is not mistaken for it', async () => {
  await using server = await listen();
  const client = connect(server.port, '127.0.0.1');
  const socket = await server.accepted();
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  const ends = { localAddress, localPort, remoteAddress, remotePort } as Ends;
  expect(peerUserId(ends)).toBe(process.getuid?.());
  expect(peerUserId({ ...ends, localAddress: '127.0.0.2' })).toBeUndefined();
  socket.destroy();
  client.destroy();
});
