import { describe, expect, test } from 'vitest';
import {
  letPass,
  orderServer,
  publicKey,
  restartCloud,
  runningServer,
  startCloud,
} from '../../support/sandbox-hetzner.ts';

const MINUTE = 60_000;

describe('a server', () => {
  test('goes from its order through its actions to its deletion', async () => {
    const cloud = await startCloud({ serverCreateMs: MINUTE, serverActionMs: MINUTE });
    const key = (await cloud.call('POST', '/ssh_keys', { name: 'one', public_key: publicKey })).body.ssh_key;
    const firewall = (await cloud.call('POST', '/firewalls', { name: 'shared' })).body.firewall;

    const ordered = await orderServer(cloud, {
      name: 'agent-1',
      ssh_keys: ['one', key.id],
      firewalls: [{ firewall: firewall.id }],
      labels: { 'agent-id': '1' },
      user_data: '#cloud-config\nhostname: agent-1\n',
    });
    expect(ordered.status).toBe(201);
    const { server, action, next_actions, root_password } = ordered.body;
    expect(server).toMatchObject({ name: 'agent-1', status: 'initializing', locked: true });
    expect(server).toMatchObject({ server_type: { name: 'cx23' }, location: { name: 'nbg1' } });
    expect(server.image).toMatchObject({ name: 'debian-12', architecture: 'x86' });
    expect(server.public_net.firewalls).toEqual([{ id: firewall.id, status: 'applied' }]);
    expect(action).toMatchObject({ command: 'create_server', status: 'running', finished: null });
    expect(action.resources).toEqual([{ id: server.id, type: 'server' }]);
    expect(next_actions).toMatchObject([{ command: 'start_server', status: 'running' }]);
    expect(root_password).toBeNull();

    await letPass(cloud, MINUTE);
    await cloud.finish(action);
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('starting');
    await letPass(cloud, MINUTE);
    const [started] = await cloud.finish(...next_actions);
    expect(started).toMatchObject({ status: 'success', progress: 100, error: null });
    expect(Date.parse(started.finished) - Date.parse(started.started)).toBe(2 * MINUTE);
    const running = (await cloud.call('GET', `/servers/${server.id}`)).body.server;
    expect(running).toMatchObject({ status: 'running', locked: false, labels: { 'agent-id': '1' } });

    const off = await cloud.call('POST', `/servers/${server.id}/actions/poweroff`);
    expect(off).toMatchObject({
      status: 201,
      body: { action: { command: 'stop_server', status: 'running' } },
    });
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('stopping');
    await letPass(cloud, MINUTE);
    await cloud.finish(off.body.action);
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('off');

    const deleted = await cloud.call('DELETE', `/servers/${server.id}`);
    expect(deleted).toMatchObject({ status: 200, body: { action: { command: 'delete_server' } } });
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.server.status).toBe('deleting');
    await letPass(cloud, MINUTE);
    await cloud.finish(deleted.body.action);
    expect((await cloud.call('GET', `/servers/${server.id}`)).body.error.code).toBe('not_found');
    expect((await cloud.call('GET', '/servers')).body.servers).toEqual([]);
    expect((await cloud.call('GET', '/primary_ips')).body.primary_ips).toEqual([]);
    expect((await cloud.call('DELETE', `/firewalls/${firewall.id}`)).status).toBe(204);
  });

  test('is locked while an action runs: of ten concurrent calls, one begins', async () => {
    const cloud = await startCloud({ serverActionMs: MINUTE });
    const ordered = await orderServer(cloud, { name: 'busy' });
    await letPass(cloud, 2 * MINUTE);
    await cloud.finish(ordered.body.action, ...ordered.body.next_actions);
    const { server } = ordered.body;
    const calls = Array.from({ length: 10 }, () =>
      cloud.call('POST', `/servers/${server.id}/actions/reboot`),
    );
    const answers = await Promise.all(calls);
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    const refused = answers.filter((answer) => answer.status === 423);
    expect(refused.map((answer) => answer.body.error.code)).toEqual(Array(9).fill('locked'));
  });

  test('changes its type only while it is off, and is started afterwards', async () => {
    const cloud = await startCloud();
    const server = await runningServer(cloud, { name: 'grows' });
    const path = `/servers/${server.id}/actions`;
    const change = { server_type: 'cx33', upgrade_disk: false };
    const refused = await cloud.call('POST', `${path}/change_type`, change);
    expect(refused).toMatchObject({ status: 422, body: { error: { code: 'server_not_stopped' } } });
    await cloud.finish((await cloud.call('POST', `${path}/shutdown`)).body.action);
    await cloud.finish((await cloud.call('POST', `${path}/change_type`, change)).body.action);
    const changed = (await cloud.call('GET', `/servers/${server.id}`)).body.server;
    expect(changed).toMatchObject({
      status: 'running',
      server_type: { name: 'cx33' },
      primary_disk_size: 40,
    });
    const history = (await cloud.call('GET', `${path}?sort=id:desc`)).body.actions;
    expect(history.map((action: { command: string }) => action.command)).toEqual([
      'change_server_type',
      'shutdown_server',
      'start_server',
      'create_server',
    ]);
  });

  test('cannot be deleted or rebuilt if protected', async () => {
    const cloud = await startCloud();
    const server = await runningServer(cloud, { name: 'kept' });
    const path = `/servers/${server.id}`;
    const unequal = await cloud.call('POST', `${path}/actions/change_protection`, { delete: true });
    expect(unequal.status).toBe(422);
    const protection = { delete: true, rebuild: true };
    await cloud.finish(
      (await cloud.call('POST', `${path}/actions/change_protection`, protection)).body.action,
    );
    expect((await cloud.call('DELETE', path)).body.error.code).toBe('protected');
    const rebuild = await cloud.call('POST', `${path}/actions/rebuild`, { image: 'debian-13' });
    expect(rebuild.body.error.code).toBe('protected');
  });

  test('can be rebuilt, renamed, labelled, rescued and backed up', async () => {
    const cloud = await startCloud();
    const server = await runningServer(cloud, { name: 'old' });
    const path = `/servers/${server.id}`;
    for (const [name, body] of [
      ['rebuild', { image: 'debian-13' }],
      ['enable_rescue', { type: 'linux64' }],
      ['enable_backup', undefined],
      ['reset_password', undefined],
    ] as const) {
      const answer = await cloud.call('POST', `${path}/actions/${name}`, body);
      expect(answer.status).toBe(201);
      await cloud.finish(answer.body.action);
    }
    const updated = await cloud.call('PUT', path, { name: 'new', labels: { a: 'b' } });
    expect(updated.body.server).toMatchObject({ name: 'new', labels: { a: 'b' }, rescue_enabled: true });
    expect(updated.body.server).toMatchObject({ image: { name: 'debian-13' }, backup_window: '22-02' });
  });

  test('ordered without an SSH key gets a password, and without a start stays off', async () => {
    const cloud = await startCloud();
    const ordered = await orderServer(cloud, { name: 'still', start_after_create: false });
    expect(ordered.body.root_password).toEqual(expect.any(String));
    expect(ordered.body.next_actions).toEqual([]);
    await cloud.finish(ordered.body.action);
    const path = `/servers/${ordered.body.server.id}`;
    expect((await cloud.call('GET', path)).body.server.status).toBe('off');
    await cloud.finish((await cloud.call('POST', `${path}/actions/poweron`)).body.action);
    expect((await cloud.call('GET', path)).body.server.status).toBe('running');
  });

  test('survives a restart of the sandbox in the middle of its creation', async () => {
    const cloud = await startCloud({ serverCreateMs: MINUTE });
    const { server, action, next_actions } = (await orderServer(cloud, { name: 'durable' })).body;
    const later = await restartCloud(cloud);
    const found = (await later.call('GET', `/servers?name=durable`)).body.servers;
    expect(found).toMatchObject([{ id: server.id, status: 'initializing' }]);
    await letPass(later, MINUTE);
    const finished = await later.finish(action, ...next_actions);
    expect(finished.map((done) => done.status)).toEqual(['success', 'success']);
    expect((await later.call('GET', `/servers/${server.id}`)).body.server.status).toBe('running');
  });
});

describe('a server order', () => {
  test('is accepted once per name, whichever of twenty comes first', async () => {
    const cloud = await startCloud();
    const answers = await Promise.all(Array.from({ length: 20 }, () => orderServer(cloud, { name: 'twin' })));
    const refused = answers.filter((answer) => answer.status === 409);
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(refused.map((answer) => answer.body.error.code)).toEqual(Array(19).fill('uniqueness_error'));
    expect((await cloud.call('GET', '/servers')).body.meta.pagination.total_entries).toBe(1);
  });

  test('can reuse its name once the earlier server is gone', async () => {
    const cloud = await startCloud({ serverActionMs: MINUTE });
    const { server } = (await orderServer(cloud, { name: 'again' })).body;
    await letPass(cloud, 2 * MINUTE);
    const { action } = (await cloud.call('DELETE', `/servers/${server.id}`)).body;
    expect((await orderServer(cloud, { name: 'again' })).body.error.code).toBe('uniqueness_error');
    await letPass(cloud, MINUTE);
    await cloud.finish(action);
    expect((await orderServer(cloud, { name: 'again' })).status).toBe(201);
  });

  test('beyond the limit is refused, even if many arrive at once', async () => {
    const cloud = await startCloud({ maxServers: 3 });
    const names = Array.from({ length: 8 }, (_, i) => `n${i}`);
    const answers = await Promise.all(names.map((name) => orderServer(cloud, { name })));
    expect(answers.filter((answer) => answer.status === 201)).toHaveLength(3);
    const refused = answers.filter((answer) => answer.status === 403);
    expect(refused.map((answer) => answer.body.error.code)).toEqual(Array(5).fill('resource_limit_exceeded'));
  });

  test.each([
    ['an invalid hostname', { name: 'not_a_host' }, 'name'],
    ['an unknown type', { name: 'x', server_type: 'cx99' }, 'server_type'],
    ['an unknown image', { name: 'x', image: 'windows' }, 'image'],
    ['an image for another processor', { name: 'x', server_type: 'cax11', image: 114690387 }, 'image'],
    ['an unknown location', { name: 'x', location: 'moon' }, 'location'],
    ['an unknown SSH key', { name: 'x', ssh_keys: ['nobody'] }, 'ssh_keys'],
    ['an unknown firewall', { name: 'x', firewalls: [{ firewall: 1 }] }, 'firewalls'],
    ['an invalid label', { name: 'x', labels: { 'hetzner.cloud/a': 'b' } }, 'labels.hetzner.cloud/a'],
    ['too much user data', { name: 'x', user_data: 'x'.repeat(32 * 1024 + 1) }, 'user_data'],
  ])('with %s is refused with the field’s name', async (_what, order, field) => {
    const cloud = await startCloud();
    const answer = await orderServer(cloud, order);
    expect(answer.status).toBe(422);
    expect(answer.body.error.code).toBe('invalid_input');
    expect(answer.body.error.details.fields.map((entry: { name: string }) => entry.name)).toEqual([field]);
  });

  test('for a type that its location does not offer is refused', async () => {
    const cloud = await startCloud();
    const answer = await orderServer(cloud, { name: 'x', server_type: 'cax11', location: 'ash' });
    expect(answer.body.error).toMatchObject({
      code: 'invalid_input',
      message: 'unsupported location for server type',
    });
  });

  test('never returns its user data', async () => {
    const cloud = await startCloud();
    const secret = 'tskey-auth-secret';
    const ordered = await orderServer(cloud, { name: 'quiet', user_data: `#cloud-config\n# ${secret}\n` });
    const read = await cloud.call('GET', `/servers/${ordered.body.server.id}`);
    const listed = await cloud.call('GET', '/servers');
    for (const answer of [ordered, read, listed]) {
      expect(JSON.stringify(answer.body)).not.toContain(secret);
      expect(JSON.stringify(answer.body)).not.toContain('user_data');
    }
  });
});

describe('a server with a real machine behind it', () => {
  test('is stopping until the machine has shut down', async () => {
    const cloud = await startCloud({ realMachines: true });
    const { id } = await runningServer(cloud, { name: 'one' });
    const { body } = await cloud.call('POST', `/servers/${id}/actions/shutdown`);
    await cloud.finish(body.action);
    expect((await cloud.call('GET', `/servers/${id}`)).body.server.status).toBe('stopping');
    // Delays can be shortened.
    const { body: hurried } = await cloud.call('POST', `/servers/${id}/actions/poweroff`);
    await cloud.finish(hurried.action);
    expect((await cloud.call('GET', `/servers/${id}`)).body.server.status).toBe('off');
  });

  test('offers only the one system image that exists', async () => {
    const cloud = await startCloud({ realMachines: true });
    const refused = await orderServer(cloud, { name: 'one', image: 'ubuntu-24.04' });
    expect(refused).toMatchObject({ status: 412, body: { error: { code: 'resource_unavailable' } } });
    const { id } = await runningServer(cloud, { name: 'two' });
    const rebuilt = await cloud.call('POST', `/servers/${id}/actions/rebuild`, { image: 'debian-13' });
    expect(rebuilt.status).toBe(412);
  });
});
