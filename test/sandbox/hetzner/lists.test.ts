import { expect, test } from 'vitest';
import { orderServer, runningServer, startCloud } from '../../support/sandbox-hetzner.ts';

type Named = { name: string };
const names = (list: Named[]) => list.map(({ name }) => name);

test('a list is split into pages without gaps', async () => {
  const cloud = await startCloud();
  for (let i = 0; i < 7; i += 1) await orderServer(cloud, { name: `s${i}` });
  const first = (await cloud.call('GET', '/servers?per_page=3&sort=name:desc')).body;
  const second = (await cloud.call('GET', '/servers?per_page=3&page=2&sort=name:desc')).body;
  const last = (await cloud.call('GET', '/servers?per_page=3&page=3&sort=name:desc')).body;
  expect([first, second, last].map((page) => names(page.servers))).toEqual([
    ['s6', 's5', 's4'],
    ['s3', 's2', 's1'],
    ['s0'],
  ]);
  const common = { per_page: 3, last_page: 3, total_entries: 7 };
  expect(first.meta.pagination).toEqual({ ...common, page: 1, previous_page: null, next_page: 2 });
  expect(second.meta.pagination).toEqual({ ...common, page: 2, previous_page: 1, next_page: 3 });
  expect(last.meta.pagination).toEqual({ ...common, page: 3, previous_page: 2, next_page: null });
  expect((await cloud.call('GET', '/servers?per_page=500')).body.meta.pagination.per_page).toBe(50);
  expect((await cloud.call('GET', '/servers?sort=price')).body.error.code).toBe('invalid_input');
});

test.each([
  ['env', ['prod', 'test']],
  ['!env', ['none']],
  ['env=prod', ['prod']],
  ['env==prod', ['prod']],
  ['env!=prod', ['test', 'none']],
  ['env in (prod, test)', ['prod', 'test']],
  ['env notin (test,dev)', ['prod', 'none']],
  ['env in (prod,test),tier!=1', ['test']],
  ['tier=,env=test', ['test']],
])('the selector %s finds %j', async (selector, expected) => {
  const cloud = await startCloud();
  await orderServer(cloud, { name: 'prod', labels: { env: 'prod', tier: '1' } });
  await orderServer(cloud, { name: 'test', labels: { env: 'test', tier: '' } });
  await orderServer(cloud, { name: 'none' });
  const answer = await cloud.call('GET', `/servers?label_selector=${encodeURIComponent(selector)}`);
  expect(names(answer.body.servers)).toEqual(expected);
});

test.each(['env=', 'env in prod', 'a b', '=x', 'env=a=b', 'env in ()x'])(
  'an invalid selector is refused: %s',
  async (selector) => {
    const cloud = await startCloud();
    const answer = await cloud.call('GET', `/servers?label_selector=${encodeURIComponent(selector)}`);
    // An empty value is valid.
    if (selector === 'env=') expect(answer.status).toBe(200);
    else expect(answer.body.error).toMatchObject({ code: 'invalid_input' });
  },
);

test('servers are found by name and by status', async () => {
  const cloud = await startCloud({ serverCreateMs: 60_000 });
  await orderServer(cloud, { name: 'fresh' });
  const find = async (query: string) => names((await cloud.call('GET', `/servers?${query}`)).body.servers);
  expect(await find('name=fresh')).toEqual(['fresh']);
  expect(await find('name=fres')).toEqual([]);
  expect(await find('status=initializing&status=running')).toEqual(['fresh']);
  expect(await find('status=off')).toEqual([]);
});

test('actions are listed by id, by kind, and by resource', async () => {
  const cloud = await startCloud();
  const [one, two] = [
    await runningServer(cloud, { name: 'one' }),
    await runningServer(cloud, { name: 'two' }),
  ];
  const firewall = (await cloud.call('POST', '/firewalls', { name: 'f', rules: [] })).body.firewall;
  const rules = [{ direction: 'in', protocol: 'icmp', source_ips: ['0.0.0.0/0', '::/0'] }];
  const set = await cloud.call('POST', `/firewalls/${firewall.id}/actions/set_rules`, { rules });
  const own = (await cloud.call('GET', `/servers/${one.id}/actions`)).body.actions;
  const ids = own.map((action: { id: number }) => action.id);
  expect(own).toHaveLength(2);
  expect((await cloud.call('GET', `/actions?id=${ids[1]}&id=${ids[0]}`)).body.actions).toHaveLength(2);
  expect((await cloud.call('GET', `/actions?id=${ids[0]}&id=1`)).body.actions).toHaveLength(1);
  expect((await cloud.call('GET', '/actions')).status).toBe(410);
  expect((await cloud.call('GET', `/actions/${ids[0]}`)).body.action.id).toBe(ids[0]);
  expect((await cloud.call('GET', '/servers/actions')).body.actions).toHaveLength(4);
  expect((await cloud.call('GET', '/servers/actions?status=running')).body.actions).toEqual([]);
  expect((await cloud.call('GET', `/servers/${two.id}/actions/${ids[0]}`)).status).toBe(404);
  const ofFirewalls = (await cloud.call('GET', '/firewalls/actions')).body.actions;
  expect(ofFirewalls).toMatchObject([{ id: set.body.actions[0].id, command: 'set_firewall_rules' }]);
});

test('the catalogue answers the provider’s queries before an order', async () => {
  const cloud = await startCloud();
  const types = (await cloud.call('GET', '/server_types?name=cx23')).body.server_types;
  expect(types).toMatchObject([{ name: 'cx23', architecture: 'x86', cores: 2 }]);
  expect(types[0].locations.map((location: Named) => location.name)).toEqual(['fsn1', 'nbg1', 'hel1']);
  const query = 'name=debian-12&architecture=arm&include_deprecated=true';
  const images = (await cloud.call('GET', `/images?${query}`)).body.images;
  expect(images).toMatchObject([{ name: 'debian-12', architecture: 'arm', type: 'system' }]);
  expect((await cloud.call('GET', `/images/${images[0].id}`)).body.image).toEqual(images[0]);
  const all = async (path: string) => (await cloud.call('GET', path)).body;
  expect(names((await all('/images?architecture=x86')).images)).not.toContain('ubuntu-20.04');
  expect(names((await all('/images?architecture=x86&include_deprecated=true')).images)).toContain(
    'ubuntu-20.04',
  );
  expect(names((await all('/locations')).locations)).toEqual(['fsn1', 'nbg1', 'hel1', 'ash', 'hil', 'sin']);
  expect(names((await all('/server_types')).server_types)).toContain('ccx13');
  for (const empty of ['isos', 'networks', 'placement_groups'])
    expect((await all(`/${empty}`))[empty]).toEqual([]);
});

test('each server has its own addresses, which are listed', async () => {
  const cloud = await startCloud();
  await orderServer(cloud, { name: 'both' });
  await orderServer(cloud, { name: 'six', public_net: { enable_ipv4: false, enable_ipv6: true } });
  const servers = (await cloud.call('GET', '/servers')).body.servers;
  expect(servers[0].public_net.ipv4.ip).toMatch(/^198\.1[89]\./);
  expect(servers[1].public_net.ipv4).toBeNull();
  const listed = (await cloud.call('GET', '/primary_ips')).body.primary_ips;
  expect(listed.map((ip: { type: string }) => ip.type)).toEqual(['ipv4', 'ipv6', 'ipv6']);
  expect(listed[0]).toMatchObject({ assignee_id: servers[0].id, ip: servers[0].public_net.ipv4.ip });
  const one = await cloud.call('GET', `/primary_ips/${listed[0].id}`);
  expect(one.body.primary_ip).toEqual(listed[0]);
});
