import { expect, test } from 'vitest';
import { runningServer, startCloud } from '../../support/sandbox-hetzner.ts';

test('prices list the cost of each server type by location, as the client libraries read them', async () => {
  const cloud = await startCloud();
  const { pricing } = (await cloud.call('GET', '/pricing')).body;
  expect(pricing).toMatchObject({
    currency: 'EUR',
    vat_rate: '19.000000',
    server_backup: { percentage: '20.0000000000' },
  });
  const types = (await cloud.call('GET', '/server_types?per_page=50')).body.server_types;
  const shown = types.map(({ id, name, prices }: Record<string, unknown>) => ({ id, name, prices }));
  expect(pricing.server_types).toEqual(shown);
  expect(pricing.primary_ips.map(({ type }: { type: string }) => type)).toEqual(['ipv4', 'ipv6']);
});

test.each([
  'volumes',
  'networks',
  'load_balancers',
  'floating_ips',
  'placement_groups',
  'certificates',
  'zones',
])('the lists of resources that the sandbox does not offer are empty: %s', async (family) => {
  const cloud = await startCloud();
  const { status, body } = await cloud.call('GET', `/${family}?per_page=10`);
  expect(status).toBe(200);
  expect(body).toMatchObject({ [family]: [], meta: { pagination: { per_page: 10, total_entries: 0 } } });
  for (const [method, path] of [
    ['GET', `/${family}/1`],
    ['POST', `/${family}`],
    ['DELETE', `/${family}/1`],
  ] as const)
    expect(await cloud.call(method, path, method === 'POST' ? {} : undefined)).toMatchObject({
      status: 404,
      body: { error: { code: 'not_found', message: expect.any(String) } },
    });
});

test('reverse DNS is set and reset, by server and by address', async () => {
  const cloud = await startCloud();
  const server = await runningServer(cloud, { name: 'one' });
  const { ipv4, ipv6 } = server.public_net;
  const network = (await cloud.call('GET', `/servers/${server.id}`)).body.server.public_net;
  expect(network.ipv4.dns_ptr).toMatch(/^static\./);
  const change = async (path: string, body: object) => {
    const answer = await cloud.call('POST', `${path}/actions/change_dns_ptr`, body);
    if (answer.status === 201) await cloud.finish(answer.body.action);
    return answer;
  };
  const byServer = (body: object) => change(`/servers/${server.id}`, body);
  const shown = async () => (await cloud.call('GET', `/servers/${server.id}`)).body.server.public_net;

  const named = await byServer({ ip: ipv4.ip, dns_ptr: 'mail.example.com' });
  expect(named.body.action).toMatchObject({ command: 'change_dns_ptr' });
  expect((await shown()).ipv4.dns_ptr).toBe('mail.example.com');
  const inNetwork = ipv6.ip.replace('::/64', '::1');
  await byServer({ ip: inNetwork.toUpperCase(), dns_ptr: 'six.example.com' });
  expect((await shown()).ipv6.dns_ptr).toEqual([{ ip: inNetwork, dns_ptr: 'six.example.com' }]);
  await byServer({ ip: inNetwork, dns_ptr: null });
  await byServer({ ip: ipv4.ip, dns_ptr: null });
  expect(await shown()).toMatchObject({ ipv4: { dns_ptr: ipv4.dns_ptr }, ipv6: { dns_ptr: [] } });

  const byAddress = await change(`/primary_ips/${ipv4.id}`, { ip: ipv4.ip, dns_ptr: 'a.example.com' });
  expect(byAddress.body.action.resources).toEqual([{ id: ipv4.id, type: 'primary_ip' }]);
  const address = (await cloud.call('GET', `/primary_ips/${ipv4.id}`)).body.primary_ip;
  expect(address.dns_ptr).toEqual([{ ip: ipv4.ip, dns_ptr: 'a.example.com' }]);
  expect((await cloud.call('GET', `/primary_ips/${ipv4.id}/actions`)).body.actions).toHaveLength(1);

  for (const body of [
    { ip: '198.18.0.1', dns_ptr: 'not.ours.example' },
    { ip: 'nonsense', dns_ptr: 'x.example.com' },
    { ip: ipv4.ip, dns_ptr: 'not a name' },
  ])
    expect((await byServer(body)).body.error.code).toBe('invalid_input');
});
