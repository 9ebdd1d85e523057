import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Installation } from '../../support/installation.ts';
import { findInstallationProcesses } from '../../support/installation-processes.ts';
import { type ListeningSocket, listeningSockets } from '../../support/listening-sockets.ts';
import { becomeOtherUser } from '../../support/other-user.ts';

/** The installation's processes and all their descendants, including those in machines. */
function everyProcess(dataDir: string): number[] {
  const found = new Set(findInstallationProcesses(dataDir).map(({ pid }) => pid));
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), parentOf(name)] as const);
  for (let before = 0; before < found.size; ) {
    before = found.size;
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid);
  }
  return [...found];
}

function parentOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return 0;
  }
}

function sharesFiles({ pid }: ListeningSocket): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`) === readlinkSync('/proc/self/ns/mnt');
  } catch {
    return false;
  }
}

/** Declares a test of what another user of this machine can reach of an installation with real machines. */
export function testOtherUsers(get: () => Installation): void {
  it('another user of this machine sees only the service, the sandbox and the database', async () => {
    const installation = get();
    const sockets = listeningSockets(everyProcess(installation.site.dataDir));
    const { url, stripeApiUrl, databaseUrl } = installation.connection;
    const known = [url, stripeApiUrl, databaseUrl].map((address) => Number(new URL(address).port));
    // Tailscale, headscale, the gateway and the machines are in other network namespaces.
    expect(sockets.filter(({ isHere }) => !isHere).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['tcp', 'udp', 'unix']),
    );
    const here = sockets.filter(({ kind, isHere }) => isHere && kind !== 'unix');
    expect([...new Set(here.map(({ address }) => address))].sort()).toEqual(
      known.map((port) => `127.0.0.1:${port}`).sort(),
    );
    await using nobody = await becomeOtherUser();
    const files = sockets.filter(
      (socket) =>
        socket.kind === 'unix' &&
        (socket.address.startsWith('@') || socket.address === '' ? socket.isHere : sharesFiles(socket)),
    );
    const answers = await Promise.all(
      files.map(
        async (socket) => `${socket.address} ${await nobody.try({ kind: 'unix', path: absolute(socket) })}`,
      ),
    );
    expect(answers.filter((answer) => answer.endsWith(' OK'))).toEqual([]);
  }, 60_000);
}

/** The kernel shows a path as the listener gave it, possibly relative to its folder. */
const absolute = ({ address, pid }: ListeningSocket) =>
  /^[/@]/.test(address) ? address : join(readlinkSync(`/proc/${pid}/cwd`), address);
