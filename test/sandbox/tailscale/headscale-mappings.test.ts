import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type Node, toDate, toTimestamp } from '../../../sandbox/tailscale/headscale/client.ts';
import { toDevice } from '../../../sandbox/tailscale/headscale/control.ts';
import { toHeadscalePolicy } from '../../../sandbox/tailscale/headscale/policy.ts';
import { toHeadscaleSettings } from '../../../sandbox/tailscale/headscale/settings.ts';

const node: Node = {
  id: '7',
  machineKey: 'mkey:1',
  nodeKey: 'nodekey:1',
  ipAddresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'],
  name: 'agent-1',
  givenName: 'agent-1-x2',
  lastSeen: { seconds: '1700000100', nanos: 0 },
  expiry: null,
  preAuthKey: { id: '3', key: '', used: true, ephemeral: true, expiration: null },
  createdAt: { seconds: '1700000000', nanos: 500_000_000 },
  online: false,
  tags: ['tag:agent'],
};

test('a node becomes a device with the same addresses, and ids in Tailscale’s form', () => {
  expect(toDevice(node)).toMatchObject({
    id: '7',
    nodeId: 'n7CNTRL',
    hostname: 'agent-1',
    label: 'agent-1-x2',
    addresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'],
    registeredBy: 'tagged-devices',
    ephemeral: true,
    keyExpiryDisabled: true,
    connected: false,
    createdAt: new Date(1_700_000_000_500),
    lastSeenAt: new Date(1_700_000_100_000),
  });
  expect(toDevice({ ...node, tags: [] }).registeredBy).toBe('operator@sandbox.example');
  expect(toDevice({ ...node, expiry: { seconds: '1800000000', nanos: 0 } })).toMatchObject({
    keyExpiryDisabled: false,
    expiresAt: new Date(1_800_000_000_000),
  });
});

test('timestamps survive a round trip; the zero time means never', () => {
  const moment = new Date('2026-11-22T05:00:00.123Z');
  expect(toDate(toTimestamp(moment))).toEqual(moment);
  expect(toDate(null)).toBeUndefined();
  expect(toDate({ seconds: '-62135596800', nanos: 0 })).toBeUndefined();
});

test('the project’s policy keeps its rules; roles become names, and its tests are left out', () => {
  const policy = JSON.parse(
    toHeadscalePolicy(readFileSync('docs/tailnet-policy.hujson', 'utf8'), 'a@b.example'),
  );
  expect(policy).toEqual({
    tagOwners: { 'tag:controller': ['a@b.example'], 'tag:agent': ['a@b.example', 'tag:controller'] },
    acls: [{ action: 'accept', src: ['tag:controller'], dst: ['tag:agent:22', 'tag:agent:8088'] }],
  });
  expect(() => toHeadscalePolicy('{"tagOwners": {"tag:a": "x"}}', 'a@b.example')).toThrow('must be a list');
});

test('headscale makes no outside connections', () => {
  const settings = toHeadscaleSettings({ dir: '/d', socket: '/d/s', address: '198.18.0.1', port: 8080 });
  expect(settings).toMatchObject({
    derp: { urls: [], auto_update_enabled: false, server: { ipv4: '198.18.0.1', ipv6: 'none' } },
    disable_check_updates: true,
    dns: { magic_dns: false, override_local_dns: false, nameservers: { global: [] } },
    logtail: { enabled: false },
  });
  expect(JSON.stringify(settings)).not.toMatch(/https:|tailscale\.com/);
});
