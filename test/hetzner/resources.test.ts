import { expect, test } from 'vitest';
import { serverSchema } from '../../src/hetzner/resources.ts';

const json = {
  id: 4711,
  name: 'agent-a1',
  status: 'running',
  labels: { backup: 'nightly' },
  locked: true,
  protection: { delete: false, rebuild: false },
  primary_disk_size: 40,
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
