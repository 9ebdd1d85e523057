import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import type { HeadscaleClient, Node } from '../../../sandbox/tailscale/headscale/client.ts';
import { createHeadscaleControl } from '../../../sandbox/tailscale/headscale/control.ts';
import { startHeadscale } from '../../../sandbox/tailscale/headscale/headscale.ts';

const START = Date.parse('2026-11-30T06:00:00Z');
const at = (ms: number) => ({ seconds: String(Math.floor(ms / 1000)), nanos: 0 });

afterEach(() => vi.useRealTimers());

function node(id: string, { online = false, ephemeral = true, seenAt = START } = {}): Node {
  return {
    id,
    online,
    machineKey: '',
    nodeKey: '',
    ipAddresses: [],
    name: `controller-${id}`,
    givenName: `controller-${id}`,
    lastSeen: at(seenAt),
    expiry: null,
    preAuthKey: { id: '1', key: '', used: true, ephemeral, expiration: null },
    createdAt: at(START),
    tags: ['tag:controller'],
  };
}

/** A headscale that answers from a list. */
function listing(nodes: Node[]): HeadscaleClient {
  const answers: Record<string, (request: { nodeId: string }) => unknown> = {
    listUsers: () => ({ users: [{ id: '1', name: 'operator' }] }),
    listNodes: () => ({ nodes: [...nodes] }),
    deleteNode: ({ nodeId }) =>
      nodes.splice(
        nodes.findIndex(({ id }) => id === nodeId),
        1,
      ),
  };
  return { call: async (method: string, request: object) => answers[method]!(request as never) } as never;
}

test('an ephemeral device that joined and never connected is removed, and no other', async () => {
  vi.useFakeTimers({ now: START, toFake: ['Date'] });
  const nodes = [
    node('1'),
    node('2', { online: true }),
    node('3', { ephemeral: false }),
    node('4', { seenAt: START + 60_000 }),
  ];
  const control = await createHeadscaleControl({ client: listing(nodes), startedAt: () => START });
  const ids = async () => (await control.listDevices()).map(({ id }) => id);
  vi.setSystemTime(START + 90_000);
  expect(await ids()).toEqual(['1', '2', '3', '4']);
  vi.setSystemTime(START + 120_000);
  expect(await ids()).toEqual(['2', '3', '4']);
  expect(nodes.map(({ id }) => id)).toEqual(['2', '3', '4']);
});

test('devices have a moment to connect again after a restart', async () => {
  vi.useFakeTimers({ now: START + 3_600_000, toFake: ['Date'] });
  let startedAt = START + 3_600_000;
  const control = await createHeadscaleControl({
    client: listing([node('1')]),
    startedAt: () => startedAt,
  });
  expect(await control.listDevices()).toHaveLength(1);
  // headscale has ended and was started again, under the same control server.
  startedAt = START + 2 * 3_600_000;
  vi.setSystemTime(startedAt + 90_000);
  expect(await control.listDevices()).toHaveLength(1);
  vi.setSystemTime(startedAt + 120_000);
  expect(await control.listDevices()).toEqual([]);
});

test('headscale tells when its present process was started, also after it has ended by itself', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'headscale-'));
  const starts: (() => void)[] = [];
  const options = { dir, binary: 'unused', address: '127.0.0.1', port: 1 };
  const run = () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    starts.push(() => child.kill('SIGKILL'));
    return child;
  };
  const client = { call: async () => ({}), close: () => {} } as unknown as HeadscaleClient;
  const headscale = await startHeadscale({ ...options, run, client });
  try {
    const first = headscale.startedAt();
    starts[0]!();
    await vi.waitFor(() => expect(starts).toHaveLength(2), { timeout: 20_000 });
    expect(headscale.startedAt()).toBeGreaterThan(first);
  } finally {
    await headscale.stop();
    rmSync(dir, { recursive: true });
  }
});
