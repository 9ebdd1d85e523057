import { expect, test } from 'vitest';
import { serverSchema, snapshotSchema } from '../../src/hetzner/resources.ts';

const json = {
  id: 4711,
  name: 'agent-a1',
  status: 'running',
  labels: { backup: 'nightly' },
  locked: true,
  protection: { delete: false, rebuild: false },
  primary_disk_size: 40,
  image: { id: 114690387, name: 'debian-12' },
  public_net: { ipv4: { ip: '192.0.2.1' }, ipv6: null, firewalls: [{ id: 7 }, {}] },
};

test('a server maps to the service’s own fields', () => {
  expect(serverSchema.parse(json)).toEqual({
    id: '4711',
    name: 'agent-a1',
    status: 'running',
    labels: { backup: 'nightly' },
    isLocked: true,
    isProtected: false,
    diskGb: 40,
    imageId: '114690387',
    ipv4: '192.0.2.1',
    firewallIds: [7],
  });
});

test('a server may lack public addresses and firewalls', () => {
  const public_net = { ipv4: null, ipv6: null };
  expect(serverSchema.parse({ ...json, public_net })).toMatchObject({ ipv4: null, firewallIds: [] });
});

test.each([
  ['delete', { delete: true, rebuild: false }],
  ['rebuild', { delete: false, rebuild: true }],
])('protection from %s counts as protection', (_, protection) => {
  expect(serverSchema.parse({ ...json, protection }).isProtected).toBe(true);
});

test('a server may no longer name its image', () => {
  expect(serverSchema.parse({ ...json, image: null }).imageId).toBeNull();
});

test('a snapshot maps to the service’s own fields, while it is made and afterwards', () => {
  const image = {
    id: 9001,
    description: 'agent-a1',
    status: 'creating',
    image_size: null,
    created_from: { id: 4711, name: 'agent-a1' },
    labels: { 'agent-id': 'a1' },
    protection: { delete: false },
    created: '2026-11-30T12:00:00+00:00',
  };
  const snapshot = {
    id: '9001',
    name: 'agent-a1',
    status: 'creating',
    sizeGb: null,
    serverId: '4711',
    labels: { 'agent-id': 'a1' },
    isProtected: false,
    createdAt: new Date('2026-11-30T12:00:00Z'),
  };
  expect(snapshotSchema.parse(image)).toEqual(snapshot);
  const made = { ...image, status: 'available', image_size: 0.4, protection: { delete: true } };
  expect(snapshotSchema.parse(made)).toEqual({
    ...snapshot,
    status: 'available',
    sizeGb: 0.4,
    isProtected: true,
  });
});
