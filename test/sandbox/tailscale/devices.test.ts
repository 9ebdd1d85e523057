import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addressesFor } from '../../../sandbox/tailscale/addresses.ts';
import { joinTailnet, setHostname } from '../../../sandbox/tailscale/devices.ts';
import { until } from '../../support/sandbox.ts';
import { makeKey, setup, type Tailnet } from '../../support/sandbox-tailnet.ts';

let tailnet: Tailnet;
beforeEach(async () => {
  tailnet = await setup();
});
afterEach(() => tailnet.close());

async function join(authKey: string, hostname: string, machineId = hostname) {
  const joined = await joinTailnet(tailnet.database, { authKey, hostname, machineId });
  if ('refused' in joined) throw new Error(joined.refused);
  return joined;
}

async function listed(query = '') {
  return (await tailnet.call('GET', `/tailnet/-/devices${query}`)).body.devices;
}

test('of twenty machines that join at once with a single-use key, exactly one is admitted', async () => {
  const { key } = await makeKey(tailnet);
  // A lock holds them back until every connection of the pool waits for it.
  const holder = await tailnet.database.startTransaction().execute();
  await holder.selectFrom('tailscale_keys').select('id').forUpdate().execute();
  const joining = Array.from({ length: 20 }, (_, index) =>
    joinTailnet(tailnet.database, { authKey: key, hostname: 'agent', machineId: `machine-${index}` }),
  );
  const waiting = sql<{ count: number }>`select pg_stat_clear_snapshot(), count(*)::int from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock'`;
  await until(async () => (await waiting.execute(holder)).rows[0]?.count === 19).finally(() =>
    holder.commit().execute(),
  );
  const results = await Promise.all(joining);
  expect(results.filter((result) => 'tailnetIp' in result)).toHaveLength(1);
  expect(results.filter((result) => 'refused' in result)).toHaveLength(19);
  expect(await listed()).toHaveLength(1);
});

test('twenty machines that join at once with a reusable key get distinct names and addresses', async () => {
  const { key } = await makeKey(tailnet, { reusable: true, preauthorized: true });
  const joined = await Promise.all(
    Array.from({ length: 20 }, (_, index) => join(key, 'agent', `machine-${index}`)),
  );
  expect(new Set(joined.map(({ tailnetIp }) => tailnetIp)).size).toBe(20);
  const labels = joined.map(({ name }) => name.split('.')[0]).sort();
  expect(labels).toEqual(['agent', ...Array.from({ length: 19 }, (_, index) => `agent-${index + 1}`)].sort());
});

test('a machine that joined before gets its device back; with another key it becomes a new one', async () => {
  const first = await makeKey(tailnet);
  const joined = await join(first.key, 'agent-1', 'server-7');
  expect(await join(first.key, 'agent-1', 'server-7')).toEqual(joined);
  const again = await join((await makeKey(tailnet)).key, 'agent-1', 'server-7');
  expect(again.name).toBe(joined.name.replace('agent-1.', 'agent-1-1.'));
  expect(await listed()).toHaveLength(2);
});

test('a deleted device cannot rejoin with its used key, and its address is not reused', async () => {
  const { key } = await makeKey(tailnet);
  const { tailnetIp, name } = await join(key, 'agent-1', 'server-7');
  const [device] = await listed();
  expect((await tailnet.call('DELETE', `/device/${device.nodeId}`)).status).toBe(200);
  expect((await tailnet.call('GET', `/device/${device.nodeId}`)).status).toBe(404);
  expect((await tailnet.call('DELETE', `/device/${device.id}`)).status).toBe(404);
  await expect(join(key, 'agent-1', 'server-7')).rejects.toThrow('was used');
  const next = await join((await makeKey(tailnet)).key, 'agent-1', 'server-8');
  expect(next.name).toBe(name);
  expect(next.tailnetIp).not.toBe(tailnetIp);
});

test('shows a device as Tailscale does, by either id', async () => {
  const { key } = await makeKey(tailnet);
  const { tailnetIp, name } = await join(key, 'agent-1');
  const [device] = await listed();
  expect(device).toMatchObject({
    addresses: [tailnetIp, expect.stringMatching(/^fd7a:115c:a1e0:/)],
    name,
    hostname: 'agent-1',
    id: expect.stringMatching(/^\d+$/),
    nodeId: expect.stringMatching(/^n\w+CNTRL$/),
    tags: ['tag:agent'],
    authorized: true,
    keyExpiryDisabled: true,
    isEphemeral: false,
    isExternal: false,
    os: 'linux',
  });
  expect(device).not.toHaveProperty('advertisedRoutes');
  for (const id of [device.id, device.nodeId])
    expect((await tailnet.call('GET', `/device/${id}`)).body).toEqual(device);
  const [full] = await listed('?fields=all');
  expect(full).toMatchObject({ ...device, advertisedRoutes: [], enabledRoutes: [] });
});

test('filters the list by exact values', async () => {
  await join((await makeKey(tailnet)).key, 'agent-1');
  await join((await makeKey(tailnet, { tags: ['tag:agent', 'tag:controller'] })).key, 'agent-2');
  const hostnames = async (query: string) =>
    (await listed(query)).map(({ hostname }: { hostname: string }) => hostname);
  expect(await hostnames('?hostname=agent-2')).toEqual(['agent-2']);
  expect(await hostnames('?tags=tag:agent')).toEqual(['agent-1', 'agent-2']);
  expect(await hostnames('?tags=tag:agent&tags=tag:controller')).toEqual(['agent-2']);
  expect(await hostnames('?authorized=false')).toEqual(['agent-2']);
});

test('authorizes, tags and keeps a key from expiring', async () => {
  const { key } = await makeKey(tailnet, {});
  await join(key, 'agent-1');
  const [device] = await listed();
  expect(device).toMatchObject({ authorized: false, keyExpiryDisabled: false });
  const path = `/device/${device.nodeId}`;
  expect((await tailnet.call('POST', `${path}/authorized`, { authorized: true })).body).toEqual({});
  await tailnet.call('POST', `${path}/tags`, { tags: ['tag:controller'] });
  await tailnet.call('POST', `${path}/key`, { keyExpiryDisabled: true });
  expect((await tailnet.call('GET', path)).body).toMatchObject({
    authorized: true,
    tags: ['tag:controller'],
    keyExpiryDisabled: true,
  });
  expect((await tailnet.call('POST', `${path}/tags`, { tags: ['controller'] })).status).toBe(400);
  expect((await tailnet.call('POST', '/device/1/tags', { tags: [] })).status).toBe(404);
});

test('addresses lie in 100.64.0.0/10, outside the reserved ranges, and never repeat', () => {
  const addresses = Array.from(
    { length: 20_000 },
    (_, index) => addressesFor(BigInt(index + 1))?.ipv4,
  ).filter((ipv4) => ipv4 !== undefined);
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(addresses.length).toBeGreaterThan(19_000);
  for (const ipv4 of addresses) {
    expect(ipv4).toMatch(/^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./);
    expect(ipv4).not.toMatch(/^100\.(100\.(0|100)|115\.9[23])\.|\.(0|255)$/);
  }
});

test('a device has its hostname as name until it is assigned one, which its machine cannot change', async () => {
  const [one, two] = [await makeKey(tailnet), await makeKey(tailnet)];
  const { tailnetIp } = await join(one.key, 'first');
  await join(two.key, 'second');
  const [first] = await listed();
  const name = (to: string) => tailnet.call('POST', `/device/${first.nodeId}/name`, { name: to });
  await setHostname(tailnet.database, { tailnetIp, hostname: 'second' });
  expect((await listed())[0]).toMatchObject({ hostname: 'second', name: 'second-1.tail5a4db0.ts.net' });

  expect((await name('agent-a.tail5a4db0.ts.net')).status).toBe(200);
  await setHostname(tailnet.database, { tailnetIp, hostname: 'third' });
  expect((await listed())[0]).toMatchObject({ hostname: 'third', name: 'agent-a.tail5a4db0.ts.net' });

  expect((await name('second')).status).toBe(400);
  expect((await name('no good')).status).toBe(400);
  expect((await name('')).status).toBe(200);
  expect((await listed())[0]).toMatchObject({ hostname: 'third', name: 'third.tail5a4db0.ts.net' });
  expect((await tailnet.call('POST', '/device/nNoneCNTRL/name', { name: 'x' })).status).toBe(404);
});
