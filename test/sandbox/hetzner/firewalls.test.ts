import { expect, test } from 'vitest';
import { orderServer, runningServer, startCloud } from '../../support/sandbox-hetzner.ts';

const wireguard = {
  direction: 'in',
  protocol: 'udp',
  port: '41641',
  source_ips: ['0.0.0.0/0', '::/0'],
  description: 'WireGuard',
};

test('a firewall is created with rules, changed, and given other rules', async () => {
  const cloud = await startCloud();
  const created = await cloud.call('POST', '/firewalls', {
    name: 'agents',
    labels: { 'managed-by': 'agents' },
    rules: [wireguard],
  });
  expect(created.status).toBe(201);
  const { firewall, actions } = created.body;
  expect(firewall).toMatchObject({ name: 'agents', applied_to: [] });
  expect(firewall.rules).toEqual([{ ...wireguard, destination_ips: [] }]);
  expect(actions).toMatchObject([{ command: 'set_firewall_rules', status: 'running' }]);
  const path = `/firewalls/${firewall.id}`;
  const again = await cloud.call('POST', '/firewalls', { name: 'agents' });
  expect(again).toMatchObject({ status: 409, body: { error: { code: 'uniqueness_error' } } });

  const icmp = { direction: 'out', protocol: 'icmp', destination_ips: ['10.0.0.0/8'] };
  const set = await cloud.call('POST', `${path}/actions/set_rules`, { rules: [icmp] });
  expect(await cloud.finish(...set.body.actions)).toMatchObject([{ status: 'success' }]);
  const renamed = await cloud.call('PUT', path, { name: 'renamed' });
  expect(renamed.body.firewall).toMatchObject({ name: 'renamed', labels: { 'managed-by': 'agents' } });
  expect(renamed.body.firewall.rules).toEqual([{ ...icmp, source_ips: [], port: null, description: null }]);
  expect((await cloud.call('GET', '/firewalls?name=renamed')).body.firewalls).toHaveLength(1);
});

test.each([
  ['no source', { direction: 'in', protocol: 'tcp', port: '22' }, 'rules.0.source_ips'],
  ['no port', { direction: 'in', protocol: 'tcp', source_ips: ['::/0'] }, 'rules.0.port'],
  ['an invalid port', { ...wireguard, port: '70000' }, 'rules.0.port'],
  ['an invalid range', { ...wireguard, source_ips: ['10.0.0.1'] }, 'rules.0.source_ips.0'],
  ['an unknown field', { ...wireguard, ports: [] }, 'ports'],
])('a rule with %s is refused', async (_what, rule, field) => {
  const cloud = await startCloud();
  const answer = await cloud.call('POST', '/firewalls', { name: 'x', rules: [rule] });
  expect(answer).toMatchObject({ status: 422, body: { error: { code: 'invalid_input' } } });
  expect(answer.body.error.details.fields[0].name).toBe(field);
});

test('a firewall in use cannot be deleted until it is removed from its resources', async () => {
  const cloud = await startCloud();
  const server = await runningServer(cloud, { name: 'one', labels: { role: 'agent' } });
  const firewall = (await cloud.call('POST', '/firewalls', { name: 'f' })).body.firewall;
  const path = `/firewalls/${firewall.id}`;
  const toServer = { type: 'server', server: { id: server.id } };
  const toLabels = { type: 'label_selector', label_selector: { selector: 'role=agent' } };

  const applied = await cloud.call('POST', `${path}/actions/apply_to_resources`, {
    apply_to: [toServer, toLabels],
  });
  expect(applied.body.actions).toMatchObject([{ command: 'apply_firewall' }, { command: 'apply_firewall' }]);
  const twice = await cloud.call('POST', `${path}/actions/apply_to_resources`, { apply_to: [toServer] });
  expect(twice).toMatchObject({ status: 422, body: { error: { code: 'firewall_already_applied' } } });
  const resource = { type: 'server', server: { id: server.id } };
  expect((await cloud.call('GET', path)).body.firewall.applied_to).toEqual([
    toServer,
    { ...toLabels, applied_to_resources: [resource] },
  ]);
  const second = await orderServer(cloud, { name: 'two', labels: { role: 'agent' } });
  expect(second.body.server.public_net.firewalls).toEqual([{ id: firewall.id, status: 'applied' }]);

  const refused = await cloud.call('DELETE', path);
  expect(refused).toMatchObject({ status: 422, body: { error: { code: 'resource_in_use' } } });
  const remove_from = [toServer, toLabels];
  const removed = await cloud.call('POST', `${path}/actions/remove_from_resources`, { remove_from });
  expect(removed.body.actions).toMatchObject([
    { command: 'remove_firewall' },
    { command: 'remove_firewall' },
  ]);
  const gone = await cloud.call('POST', `${path}/actions/remove_from_resources`, { remove_from });
  expect(gone.body.error.code).toBe('firewall_already_removed');
  expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.public_net.firewalls).toEqual([]);
  expect((await cloud.call('DELETE', path)).status).toBe(204);
});

test('a firewall cannot be applied to a missing server', async () => {
  const cloud = await startCloud();
  const apply_to = [{ type: 'server', server: { id: 1 } }];
  const answer = await cloud.call('POST', '/firewalls', { name: 'f', apply_to });
  expect(answer).toMatchObject({ status: 404, body: { error: { code: 'firewall_resource_not_found' } } });
  expect((await cloud.call('GET', '/firewalls')).body.firewalls).toEqual([]);
});

test('a project has a limited number of firewalls', async () => {
  const cloud = await startCloud({ maxFirewalls: 2 });
  const calls = [1, 2, 3, 4].map((i) => cloud.call('POST', '/firewalls', { name: `f${i}` }));
  const statuses = (await Promise.all(calls)).map((answer) => answer.status);
  expect(statuses.sort()).toEqual([201, 201, 403, 403]);
});
