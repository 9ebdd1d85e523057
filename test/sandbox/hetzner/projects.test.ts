import { expect, test } from 'vitest';
import { type Cloud, publicKey, runningServer, startCloud } from '../../support/sandbox-hetzner.ts';

/** Issues a token of a project, as the sandbox's control does, and returns calls with it. */
async function openOther(cloud: Cloud, project: string, permission = 'write') {
  const { token } = (await cloud.control('POST', '/credentials', { vendor: 'hetzner', permission, project }))
    .body;
  return (method: string, path: string, body?: unknown) =>
    cloud.call(method, path, body, { authorization: `Bearer ${token}` });
}

const names = (list: { name: string }[]) => list.map(({ name }) => name);

test('each token sees and changes what is in its own project', async () => {
  const cloud = await startCloud();
  const us = await openOther(cloud, 'us');
  const { id } = await runningServer(cloud, { name: 'same-name' });
  const firewall = (await cloud.call('POST', '/firewalls', { name: 'agents', rules: [] })).body.firewall;
  await cloud.call('POST', '/ssh_keys', { name: 'key', public_key: publicKey });
  expect((await us('GET', '/servers')).body.servers).toEqual([]);
  expect((await us('GET', '/actions')).body.actions ?? []).toEqual([]);
  for (const [method, path] of [
    ['GET', `/servers/${id}`],
    ['DELETE', `/servers/${id}`],
    ['POST', `/servers/${id}/actions/poweroff`],
    ['GET', `/firewalls/${firewall.id}`],
    ['DELETE', `/firewalls/${firewall.id}`],
  ] as const)
    expect((await us(method, path)).status, `${method} ${path}`).toBe(404);
  const order = { name: 'same-name', server_type: 'cx23', image: 'debian-12', location: 'nbg1' };
  const foreign = await us('POST', '/servers', { ...order, firewalls: [{ firewall: firewall.id }] });
  expect(foreign.body.error.code).toBe('invalid_input');
  // Names and keys are unique in a project only.
  expect((await us('POST', '/ssh_keys', { name: 'key', public_key: publicKey })).status).toBe(201);
  const own = (await us('POST', '/firewalls', { name: 'agents', rules: [] })).body.firewall;
  const made = await us('POST', '/servers', {
    ...order,
    ssh_keys: ['key'],
    firewalls: [{ firewall: own.id }],
  });
  expect(made.status).toBe(201);
  expect((await us('POST', '/servers', order)).body.error.code).toBe('uniqueness_error');
  expect(names((await us('GET', '/servers')).body.servers)).toEqual(['same-name']);
  expect((await cloud.call('GET', '/servers')).body.servers).toHaveLength(1);
  expect((await cloud.call('GET', '/primary_ips')).body.primary_ips).toHaveLength(2);
  expect((await us('GET', '/primary_ips')).body.primary_ips).toHaveLength(2);
});

test('limits and quota are a project’s own', async () => {
  const cloud = await startCloud({ maxServers: 1, requestsPerHour: 40 });
  const us = await openOther(cloud, 'us');
  const order = { name: 'one', server_type: 'cx23', image: 'debian-12', location: 'nbg1' };
  expect((await cloud.call('POST', '/servers', order)).status).toBe(201);
  expect((await cloud.call('POST', '/servers', { ...order, name: 'two' })).body.error.code).toBe(
    'resource_limit_exceeded',
  );
  const { status, headers } = await us('POST', '/servers', order);
  expect([status, headers.get('ratelimit-remaining')]).toEqual([201, '39']);
});

test('a token of another project may also be one that only reads', async () => {
  const cloud = await startCloud();
  const reads = await openOther(cloud, 'us', 'read');
  expect((await reads('GET', '/servers')).status).toBe(200);
  expect((await reads('POST', '/firewalls', { name: 'agents' })).body.error.code).toBe('token_readonly');
});
