import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A listening socket. `address`: `127.0.0.1:4711`, or a path; an abstract name begins with `@`. */
export interface ListeningSocket {
  kind: 'tcp' | 'udp' | 'unix';
  address: string;
  port: number;
  pid: number;
  /** Whether it is in this process's network namespace. */
  isHere: boolean;
}

const TCP_LISTEN = '0A';
/** A bound UDP socket without a peer. */
const UDP_OPEN = '07';
const UNIX_ACCEPTS = 0x10000;

/** Lists the sockets on which these processes listen, from the kernel. Linux only. */
export function listeningSockets(pids: number[]): ListeningSocket[] {
  const ownNetwork = readlinkSync('/proc/self/ns/net');
  return pids.flatMap((pid) => {
    const inodes = readSocketInodes(pid);
    const isHere = attempt(() => readlinkSync(`/proc/${pid}/ns/net`)) === ownNetwork;
    return readTables(pid)
      .filter(({ inode }) => inodes.has(inode))
      .map(({ kind, address, port }) => ({ kind, address, port, pid, isHere }));
  });
}

function readSocketInodes(pid: number): Set<string> {
  const folder = `/proc/${pid}/fd`;
  const links = (attempt(() => readdirSync(folder)) ?? []).map((name) =>
    attempt(() => readlinkSync(`${folder}/${name}`)),
  );
  return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1] ?? []));
}

type Row = Omit<ListeningSocket, 'pid' | 'isHere'> & { inode: string };

function readTables(pid: number): Row[] {
  const read = (table: string) =>
    (attempt(() => readFileSync(`/proc/${pid}/net/${table}`, 'latin1')) ?? '').trim().split('\n').slice(1);
  const internet = (kind: 'tcp' | 'udp', state: string) =>
    [kind, `${kind}6`].flatMap((table) =>
      read(table).flatMap((line) => {
        const [, local = '', , lineState, , , , , , inode = ''] = line.trim().split(/\s+/);
        const [address = '', port = ''] = local.split(':');
        const number = Number.parseInt(port, 16);
        return lineState === state
          ? [{ kind, address: `${formatAddress(address)}:${number}`, port: number, inode }]
          : [];
      }),
    );
  const unix = read('unix').flatMap((line) => {
    const [, , , flags = '0', , , inode = '', ...path] = line.trim().split(/\s+/);
    return (Number.parseInt(flags, 16) & UNIX_ACCEPTS) === 0
      ? []
      : [{ kind: 'unix' as const, address: path.join(' '), port: 0, inode }];
  });
  return [...internet('tcp', TCP_LISTEN), ...internet('udp', UDP_OPEN), ...unix];
}

const formatAddress = (hex: string) =>
  hex.length === 8
    ? Buffer.from(hex, 'hex').reverse().join('.')
    : `[${hex
        .match(/.{8}/g)
        ?.map((word) => Buffer.from(word, 'hex').reverse().toString('hex'))
        .join('')}]`;

function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    // The process has ended, or the kernel has no IPv6.
    return undefined;
  }
}
