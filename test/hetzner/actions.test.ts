import { expect, test } from 'vitest';
import { PermanentError, RetryableError } from '../../src/errors.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { wasRefused } from '../../src/hetzner/refusals.ts';
import { Secret } from '../../src/secret.ts';
import { type Cloud, hcloudToken, runningServer, startCloud } from '../support/sandbox-hetzner.ts';

const never = new AbortController().signal;
const waiting = { wait: true, signal: never } as const;

async function setup(settings: Parameters<typeof startCloud>[0] = {}) {
  const cloud = await startCloud(settings);
  const hetzner = createHetznerClient({
    token: new Secret(hcloudToken),
    endpoint: `${cloud.url}/hetzner/v1`,
  });
  const { id } = await runningServer(cloud, { name: 'agent-a1' });
  const serverId = String(id);
  return { cloud, hetzner, serverId, status: async () => (await hetzner.getServer(serverId))?.status };
}

const fault = (cloud: Cloud, path: string, effect: object) =>
  cloud.control('POST', '/faults', { area: 'hetzner', method: 'POST', path, times: 1, effect });

test('each call returns once Hetzner reports its action as done', async () => {
  const { hetzner, serverId, status } = await setup();
  await hetzner.shutDown(serverId, never);
  expect(await status()).toBe('off');
  await hetzner.powerOn(serverId, never);
  expect(await status()).toBe('running');
  await hetzner.powerOff(serverId, never);
  expect(await status()).toBe('off');
});

test('a rebuild passes image and user data, and keeps the server', async () => {
  const { cloud, hetzner, serverId, status } = await setup();
  await hetzner.rebuild(
    serverId,
    { image: 'debian-12', userData: '#cloud-config\nhostname: again\n' },
    never,
  );
  expect(await status()).toBe('running');
  const rows = await cloud.database
    .selectFrom('hetzner_servers')
    .select(['user_data', 'generation'])
    .where('id', '=', Number(serverId))
    .execute();
  expect(rows).toEqual([{ user_data: '#cloud-config\nhostname: again\n', generation: 2 }]);
});

test('a server locked by another action is waited for', async () => {
  const { cloud, hetzner, serverId, status } = await setup({ serverActionMs: 300 });
  await cloud.call('POST', `/servers/${serverId}/actions/reboot`);
  await hetzner.powerOff(serverId, never);
  expect(await status()).toBe('off');
});

test.each(['rebuild', 'delete'] as const)(
  'a server protected from %s is not a locked one: it is refused at once and for good',
  async (what) => {
    const { cloud, hetzner, serverId, status } = await setup();
    const protection = { delete: true, rebuild: true };
    await cloud.call('POST', `/servers/${serverId}/actions/change_protection`, protection);
    await expect.poll(async () => (await hetzner.getServer(serverId))?.isLocked).toBe(false);
    expect(await hetzner.getServer(serverId)).toMatchObject({ isProtected: true });
    const refused =
      what === 'delete'
        ? hetzner.deleteServer(serverId, { wait: false })
        : hetzner.rebuild(serverId, { image: 'debian-12', userData: '' }, never);
    await expect(refused).rejects.toBeInstanceOf(PermanentError);
    await expect(refused).rejects.toThrow(`${what} is protected for this server (protected)`);
    expect(await status()).toBe('running');
  },
);

test('a server is found by name, labelled, and attached to a firewall, once or twice', async () => {
  const { cloud, hetzner, serverId } = await setup();
  expect((await hetzner.findServer('agent-a1'))?.id).toBe(serverId);
  expect(await hetzner.findServer('agent-a')).toBeUndefined();
  await hetzner.setServerLabels(serverId, { 'agent-id': 'a1', backup: 'nightly' });
  const { body } = await cloud.call('POST', '/firewalls', { name: 'agents-default', rules: [] });
  const { id } = body.firewall;
  expect(await hetzner.applyFirewall(id, serverId, waiting)).toBe(true);
  expect(await hetzner.applyFirewall(id, serverId, waiting)).toBe(true);
  expect(await hetzner.applyFirewall(1, serverId, waiting)).toBe(false);
  expect(await hetzner.getServer(serverId)).toMatchObject({
    labels: { 'agent-id': 'a1', backup: 'nightly' },
    firewallIds: [id],
  });
});

test('a failed action can be retried and says why', async () => {
  const { cloud, hetzner, serverId } = await setup();
  const effect = { kind: 'action-error', code: 'server_error', message: 'the host is on fire' };
  await fault(cloud, `/servers/${serverId}/actions/poweroff`, effect);
  const powerOff = hetzner.powerOff(serverId, never);
  await expect(powerOff).rejects.toThrow("Hetzner's poweroff ended in an error: the host is on fire");
  await expect(powerOff).rejects.toBeInstanceOf(RetryableError);
});

test.each([429, 401, 404])(
  'a %i while an action is polled does not mean that the action was refused',
  async (status) => {
    const { cloud, hetzner, serverId } = await setup({ serverActionMs: 1_000 });
    const effect = { kind: 'status', status };
    const times = { area: 'hetzner', method: 'GET', path: '/actions/*', times: 3, effect };
    await cloud.control('POST', '/faults', times);
    const rebuild = hetzner.rebuild(serverId, { image: 'debian-12', userData: '' }, never);
    const error = await rebuild.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Error);
    expect(wasRefused(error)).toBe(false);
  },
);

test('the wait ends when the attempt is aborted', async () => {
  const { hetzner, serverId } = await setup({ serverActionMs: 2_000 });
  const attempt = new AbortController();
  const powerOff = hetzner.powerOff(serverId, attempt.signal);
  const beganAt = Date.now();
  attempt.abort(new Error('the lease ran out'));
  await expect(powerOff).rejects.toThrow();
  // Before the action does.
  expect(Date.now() - beganAt).toBeLessThan(1_900);
});
