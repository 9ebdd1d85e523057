import { subscribe } from 'node:diagnostics_channel';
import { closeSync, openSync, readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { endianness } from 'node:os';

/** The two ends of an accepted connection, as a socket names them. */
export type Ends = Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>;

const ESTABLISHED = '01';
/** The kernel returns its table in pieces; a change between two of them can hide a row. */
const READS = 3;
/** As much as the kernel returns at once. */
const PIECE_BYTES = 4096;

/**
 * Returns the user who owns the other end of a loopback connection; undefined if that end is closed or its
 * owner is unknown. Only established connections count: the kernel attributes closed ones to root. Linux
 * only.
 */
export function peerUserId(ends: Ends): number | undefined {
  for (let read = 0; read < READS; read += 1) {
    const row = findRow('/proc/net/tcp', ends) ?? findRow('/proc/net/tcp6', ends);
    // Fields: number, local address, remote address, state, queues, timer, retransmits, user, timeout, inode.
    if (row !== undefined) return row[3] === ESTABLISHED && row[9] !== '0' ? Number(row[7]) : undefined;
  }
  return undefined;
}

/**
 * Makes this process accept connections only from its own user and root, on all its ports; others are closed
 * before a byte is read. gRPC ports have no credentials, and loopback is open to every user of the host.
 * Linux only.
 */
export function refuseOtherUsers(): void {
  if (process.platform !== 'linux') return;
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    // Unix sockets are protected by file permissions.
    if (socket.localAddress === undefined) return;
    const userId = peerUserId(socket);
    if (userId !== 0 && userId !== process.getuid?.()) socket.destroy();
  });
}

/**
 * Matches both ends completely: one local port can belong to connections of several users to different
 * addresses.
 */
function findRow(table: string, ends: Ends): string[] | undefined {
  const peer = `${toTableAddress(ends.remoteAddress)}:${port(ends.remotePort)}`;
  const own = `${toTableAddress(ends.localAddress)}:${port(ends.localPort)}`;
  for (const line of readLines(table)) {
    if (!line.includes(peer)) continue;
    const row = line.trim().split(/\s+/);
    if (row[1]?.endsWith(peer) && row[2]?.endsWith(own)) return row;
  }
  return undefined;
}

/**
 * Reads no further than its caller asks: the kernel walks its whole hash table to list it, which takes
 * milliseconds of processor time however few connections there are.
 */
function* readLines(table: string): Generator<string> {
  let file: number | undefined;
  try {
    file = openSync(table, 'r');
    const piece = Buffer.alloc(PIECE_BYTES);
    let rest = '';
    for (let size = readSync(file, piece); size > 0; size = readSync(file, piece)) {
      const lines = (rest + piece.toString('latin1', 0, size)).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // A kernel without IPv6 has no second table. In all other cases an unreadable table admits no connection.
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const port = (number = 0) => number.toString(16).toUpperCase().padStart(4, '0');

/**
 * Formats an address as the table does: words of four bytes in the machine's byte order. An IPv4 address is
 * also the end of its mapped IPv6 form.
 */
function toTableAddress(address = ''): string {
  const plain = address.replace(/^::ffff:(?=.*\.)/, '').replace(/%.*$/, '');
  const bytes = plain.includes(':') ? ipv6Bytes(plain) : plain.split('.').map(Number);
  const words = bytes.flatMap((_byte, at) => (at % 4 === 0 ? [bytes.slice(at, at + 4)] : []));
  if (endianness() === 'LE') for (const word of words) word.reverse();
  return words
    .flat()
    .map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'))
    .join('');
}

/** Expands `::`, which stands for the omitted zero groups, to all eight groups. */
function ipv6Bytes(address: string): number[] {
  const toGroups = (part = '') => part.split(':').filter(Boolean);
  const [head, tail] = address.split('::');
  const [first, last] = [toGroups(head), toGroups(tail)];
  const groups = [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last];
  return groups.map((group) => Number.parseInt(group, 16)).flatMap((group) => [group >> 8, group & 0xff]);
}
