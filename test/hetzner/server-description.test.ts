import { expect, test } from 'vitest';
import { describeServer } from '../../src/hetzner/server-description.ts';

/** As Hetzner's API reference shows one, without what is not read. */
const server = {
  id: 42,
  name: 'web1',
  status: 'running',
  labels: {},
  locked: false,
  protection: { delete: false, rebuild: false },
  primary_disk_size: 40,
  image: { id: 1, name: 'debian-12', os_flavor: 'debian', os_version: '12' },
  public_net: { ipv4: { ip: '203.0.113.7' }, firewalls: [], floating_ips: [478] },
  server_type: { name: 'cx23' },
  location: { name: 'nbg1' },
  private_net: [],
  placement_group: null,
  rescue_enabled: false,
  iso: null,
  volumes: [1, 2],
  load_balancers: [9],
};

test('a server is described with what is attached to it', async () => {
  expect(await describeServer(async () => ({ server }), '42')).toMatchObject({
    id: '42',
    ipv4: '203.0.113.7',
    system: 'debian 12',
    volumes: ['1', '2'],
    floatingIps: ['478'],
    loadBalancers: ['9'],
  });
});
