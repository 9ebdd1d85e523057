import { afterEach, expect, test, vi } from 'vitest';
import type { HeadscaleClient, Node } from '../../../sandbox/tailscale/headscale/client.ts';
import { createHeadscaleControl } from '../../../sandbox/tailscale/headscale/control.ts';

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
  const control = await createHeadscaleControl(listing(nodes));
  const ids = async () => (await control.listDevices()).map(({ id }) => id);
  vi.setSystemTime(START + 90_000);
  expect(await ids()).toEqual(['1', '2', '3', '4']);
  vi.setSystemTime(START + 120_000);
  expect(await ids()).toEqual(['2', '3', '4']);
  expect(nodes.map(({ id }) => id)).toEqual(['2', '3', '4']);
});

test('devices have a moment to connect again after a restart', async () => {
  vi.useFakeTimers({ now: START + 3_600_000, toFake: ['Date'] });
  const control = await createHeadscaleControl(listing([node('1')]));
  expect(await control.listDevices()).toHaveLength(1);
  vi.setSystemTime(START + 3_600_000 + 120_000);
  expect(await control.listDevices()).toEqual([]);
});
