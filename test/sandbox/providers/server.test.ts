import { expect, test } from 'vitest';
import { InitializationFailed } from '../../../sandbox/providers/failures.ts';
import { createHcloudClient } from '../../../sandbox/providers/hcloud/client.ts';
import { firewall } from '../../../sandbox/providers/hcloud/firewall.ts';
import { server } from '../../../sandbox/providers/hcloud/server.ts';
import { sshKey } from '../../../sandbox/providers/hcloud/ssh-key.ts';
import type { Properties } from '../../../sandbox/providers/values.ts';
import { startFakeHetzner } from './fake-hetzner.ts';

const context = { signal: new AbortController().signal, name: 'server', showStatus: () => {} };
const inputs = {
  name: 'agent-a1',
  serverType: 'cx23',
  image: 'debian-12',
  location: 'hel1',
  userData: '#cloud-config',
  labels: { 'agent-id': 'a1' },
};

async function setup() {
  const hetzner = await startFakeHetzner();
  const client = createHcloudClient({
    token: 't'.repeat(64),
    endpoint: hetzner.url,
    retryBaseMs: 1,
    pollIntervalMs: 1,
  });
  const update = (id: string, state: Properties, changed: Properties) => {
    hetzner.received.length = 0;
    return server.update(
      client,
      id,
      { oldInputs: inputs, state, inputs: { ...inputs, ...changed } },
      context,
    );
  };
  return { hetzner, client, update };
}

test('a create sends the order, waits for its actions and reads the server', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const key = await sshKey.create(client, { name: 'k', publicKey: 'ssh-ed25519 AAAA x' }, context);
  hetzner.received.length = 0;
  const wanted = {
    ...inputs,
    sshKeys: [key.id],
    firewallIds: [9],
    publicNets: [{ ipv4Enabled: false }],
    backups: true,
  };
  const { id, state } = await server.create(client, wanted, context);
  expect(hetzner.calls()).toEqual([
    'GET /server_types',
    'GET /images',
    `GET /ssh_keys/${key.id}`,
    'POST /servers',
    'GET /actions',
    `POST /servers/${id}/actions/enable_backup`,
    'GET /actions',
    `GET /servers/${id}`,
  ]);
  expect(hetzner.received[3]!.body).toEqual({
    name: 'agent-a1',
    server_type: 'cx23',
    image: 7,
    user_data: '#cloud-config',
    ssh_keys: [Number(key.id)],
    location: 'hel1',
    labels: { 'agent-id': 'a1' },
    firewalls: [{ firewall: 9 }],
    public_net: { enable_ipv4: false, enable_ipv6: true },
  });
  expect(state).toMatchObject({
    id,
    name: 'agent-a1',
    image: 'debian-12',
    location: 'hel1',
    status: 'running',
    ipv4Address: '192.0.2.10',
    ipv6Address: '2001:db8:1::1',
    ipv6Network: '2001:db8:1::/64',
    backups: true,
    backupWindow: '22-02',
    firewallIds: [9],
    primaryDiskSize: 40,
    // sha1 of '#cloud-config' in base64: the user data itself is not stored.
    userData: '9sPmzwZu7u8+strUGnJb//9LpaU=',
  });
});

test('a create that fails after the order still returns the id of the billed server', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  hetzner.failNextAction({ code: 'action_failed', message: 'Action failed' });
  const failure = await server.create(client, inputs, context).catch((error: unknown) => error);
  const [id] = [...hetzner.servers.keys()];
  expect(failure).toBeInstanceOf(InitializationFailed);
  expect(failure).toMatchObject({ id: String(id), state: { name: 'agent-a1' } });
  expect((failure as Error).message).toMatch(/^Action failed \(action_failed, \d+\)$/);
});

test('a refused create reports why, and no server exists', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  await server.create(client, inputs, context);
  await expect(server.create(client, inputs, context)).rejects.toThrow(
    'hcloud/createServer: server name is already used (uniqueness_error, c0ffee)',
  );
  await expect(server.create(client, { ...inputs, sshKeys: ['nobody'] }, context)).rejects.toThrow(
    'SSH key not found: nobody',
  );
  expect(hetzner.servers.size).toBe(1);
});

test('another server type is applied in place, between power off and on', async () => {
  const { hetzner, client, update } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, inputs, context);
  const updated = await update(id, state, { serverType: 'cx33', keepDisk: true });
  const posts = hetzner.received.filter(({ method }) => method === 'POST');
  expect(posts.map(({ path }) => path.split('/').pop())).toEqual(['poweroff', 'change_type', 'poweron']);
  expect(posts[1]!.body).toEqual({ server_type: 'cx33', upgrade_disk: false });
  expect(updated).toMatchObject({
    serverType: 'cx33',
    status: 'running',
    keepDisk: true,
    userData: state.userData,
  });
});

test('a server that was off before a type change stays off', async () => {
  const { hetzner, client, update } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, inputs, context);
  hetzner.servers.get(Number(id))!.status = 'off';
  await update(id, state, { serverType: 'cx33' });
  const posts = hetzner.received.filter(({ method }) => method === 'POST');
  expect(posts.map(({ path }) => path.split('/').pop())).toEqual(['change_type']);
});

test('name, labels, firewalls, backups and protection are changed in place', async () => {
  const { hetzner, client, update } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, { ...inputs, firewallIds: [5] }, context);
  for (const firewallId of [5, 6]) {
    hetzner.firewalls.set(firewallId, { id: firewallId, name: `f${firewallId}`, labels: {}, applied_to: [] });
  }
  const updated = await update(id, state, {
    name: 'b',
    labels: { a: 'b' },
    firewallIds: [6],
    backups: true,
    deleteProtection: true,
    rebuildProtection: true,
  });
  expect(hetzner.calls().filter((call) => !call.startsWith('GET'))).toEqual([
    `PUT /servers/${id}`,
    `POST /servers/${id}/actions/enable_backup`,
    'POST /firewalls/5/actions/remove_from_resources',
    'POST /firewalls/6/actions/apply_to_resources',
    `POST /servers/${id}/actions/change_protection`,
  ]);
  expect(updated).toMatchObject({ name: 'b', labels: { a: 'b' }, backups: true, deleteProtection: true });
});

test('a read returns outside changes, keeps what the API does not return, and reports a missing server', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, inputs, context);
  Object.assign(hetzner.servers.get(Number(id))!, { status: 'off', labels: { other: 'x' } });
  const read = await server.read(client, id, { state, inputs }, context);
  expect(read!.state).toEqual({ ...state, status: 'off', labels: { other: 'x' } });
  expect(read!.inputs).toEqual({ ...inputs, labels: { other: 'x' } });
  hetzner.servers.clear();
  expect(await server.read(client, id, { state, inputs }, context)).toBeUndefined();
});

test('a read without state, as for an import, returns inputs without a diff', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const { id } = await server.create(client, inputs, context);
  const read = (await server.read(client, id, { state: {}, inputs: {} }, context))!;
  expect(read.inputs).toMatchObject({
    name: 'agent-a1',
    serverType: 'cx23',
    image: 'debian-12',
    location: 'hel1',
  });
  const { userData: _userData, ...wanted } = inputs;
  expect(server.diff({ oldInputs: read.inputs, state: read.state, inputs: wanted }).changes).toEqual([]);
});

test('a placement group that a person has put it into is read, and is a change unless it is ignored', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, inputs, context);
  Object.assign(hetzner.servers.get(Number(id))!, { placement_group: { id: 5, name: 'spread' } });
  const read = (await server.read(client, id, { state, inputs }, context))!;
  expect(read.inputs).toMatchObject({ placementGroupId: 5 });
  const changes = (wanted: object) =>
    server.diff({ oldInputs: read.inputs, state: read.state, inputs: { ...inputs, ...wanted } }).changes;
  expect(changes({})).toMatchObject([{ path: 'placementGroupId', kind: 'delete' }]);
  expect(changes({ placementGroupId: 5 })).toEqual([]);
});

test('a delete waits for its action; for a missing server it fails, like the official provider', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const { id, state } = await server.create(client, { ...inputs, shutdownBeforeDeletion: true }, context);
  hetzner.received.length = 0;
  await server.delete(client, id, state, context);
  expect(hetzner.calls()).toEqual([
    `POST /servers/${id}/actions/shutdown`,
    'GET /actions',
    `GET /servers/${id}`,
    `DELETE /servers/${id}`,
    'GET /actions',
  ]);
  await expect(
    server.delete(client, id, { ...state, shutdownBeforeDeletion: false }, context),
  ).rejects.toThrow(`hcloud/deleteServer: server with ID '${id}' not found (not_found, c0ffee)`);
});

test('a firewall is detached from its servers before its deletion, which is retried while it is in use', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  const { id, state } = await firewall.create(client, { name: 'f', applyTos: [{ server: 7 }] }, context);
  hetzner.order(
    `DELETE /firewalls/${id}`,
    hetzner.refuse(409, 'resource_in_use', 'firewall is still in use'),
  );
  hetzner.received.length = 0;
  await firewall.delete(client, id, state, context);
  expect(hetzner.calls().filter((call) => !call.startsWith('GET'))).toEqual([
    `POST /firewalls/${id}/actions/remove_from_resources`,
    `DELETE /firewalls/${id}`,
    `DELETE /firewalls/${id}`,
  ]);
  await firewall.delete(client, id, state, context);
});

test('a key that is already gone counts as deleted', async () => {
  const { hetzner, client } = await setup();
  await using _ = hetzner;
  await sshKey.delete(client, '77', {}, context);
  expect(hetzner.calls()).toEqual(['DELETE /ssh_keys/77']);
});

test('unsupported inputs are refused before any call', () => {
  const { failures } = server.check({ ...inputs, networks: [] }, {}, { name: 'server', suffix: '1234567' });
  expect(failures).toMatchObject([
    { property: 'networks', reason: expect.stringContaining('PROVIDERS=official') },
  ]);
});

test('a server without a name gets one, and keeps it', () => {
  const { name: _name, ...unnamed } = inputs;
  const first = server.check(unnamed, {}, { name: 'server', suffix: '1234567' });
  expect(first.added).toEqual({ name: 'server-1234567', __defaults: ['name'] });
  const second = server.check(unnamed, { ...first.added }, { name: 'server', suffix: '7654321' });
  expect(second.added).toEqual(first.added);
});
