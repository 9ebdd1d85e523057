import { expect, onTestFinished, test } from 'vitest';
import { startDueLoop } from '../../../sandbox/due.ts';
import { createMachineHandlers, type JoinTailnet } from '../../../sandbox/machines/simulated.ts';
import {
  type Cloud,
  eventually,
  letPass,
  orderServer,
  runningServer,
  startCloud,
} from '../../support/sandbox-hetzner.ts';

function userData(key: string): string {
  return `#cloud-config\nhostname: agent-1\nwrite_files:\n  - path: /etc/agent/tailnet-key\n    content: ${key}\n`;
}

/** A tailnet that admits machines with a key that begins with "good", one address per machine. */
function createTailnet() {
  const machines: string[] = [];
  const joinTailnet: JoinTailnet = async (_database, { authKey, machineId, hostname }) => {
    if (!authKey.startsWith('good')) return { refused: 'the key is used up' };
    if (!machines.includes(machineId)) machines.push(machineId);
    return { tailnetIp: `100.64.0.${machines.indexOf(machineId) + 1}`, name: `${hostname}.tailnet.example` };
  };
  return { machines, joinTailnet };
}

function runDueWork(cloud: Cloud, joinTailnet: JoinTailnet): void {
  const stop = new AbortController();
  const handlers = createMachineHandlers({ database: cloud.database, joinTailnet });
  const done = startDueLoop(cloud.database, handlers, { signal: stop.signal, pollMs: 5, retryMs: 5 });
  onTestFinished(async () => {
    stop.abort();
    await done;
  });
}

function bootedMachine(cloud: Cloud, serverId: number, generation = 1) {
  return eventually(() =>
    cloud.database
      .selectFrom('machines')
      .selectAll()
      .where('server_id', '=', serverId)
      .where('generation', '=', generation)
      .executeTakeFirst(),
  );
}

const health = (cloud: Cloud, ip: string) => cloud.control('GET', `/machines/${ip}/health`);

test('a machine boots, joins, and is healthy exactly while its server runs', async () => {
  const cloud = await startCloud();
  const { machines, joinTailnet } = createTailnet();
  runDueWork(cloud, joinTailnet);
  const server = await runningServer(cloud, { name: 'agent-1', user_data: userData('good') });
  const machine = await bootedMachine(cloud, server.id);
  expect(machine).toMatchObject({ hostname: 'agent-1', tailnet_ip: '100.64.0.1', refused_reason: null });
  expect(machines).toHaveLength(1);
  const healthy = { status: 'ok', simulated: true, hostname: 'agent-1' };
  expect(await health(cloud, '100.64.0.1')).toMatchObject({ status: 200, body: healthy });
  expect(await health(cloud, '100.64.0.9')).toMatchObject({ status: 503, body: { status: 503 } });

  const power = async (name: string) =>
    cloud.finish((await cloud.call('POST', `/servers/${server.id}/actions/${name}`)).body.action);
  await power('poweroff');
  expect((await health(cloud, '100.64.0.1')).status).toBe(503);
  await power('poweron');
  expect((await health(cloud, '100.64.0.1')).status).toBe(200);
  await cloud.finish((await cloud.call('DELETE', `/servers/${server.id}`)).body.action);
  expect((await health(cloud, '100.64.0.1')).status).toBe(503);
});

test('the user data is deleted once the machine has booted', async () => {
  const cloud = await startCloud();
  runDueWork(cloud, createTailnet().joinTailnet);
  const server = await runningServer(cloud, { name: 'a', user_data: userData('good') });
  await bootedMachine(cloud, server.id);
  const rows = await cloud.database
    .selectFrom('hetzner_servers')
    .select('user_data')
    .where('id', '=', server.id)
    .execute();
  expect(rows).toEqual([{ user_data: null }]);
});

test('a machine whose key is refused runs, but does not join', async () => {
  const cloud = await startCloud();
  runDueWork(cloud, createTailnet().joinTailnet);
  const server = await runningServer(cloud, { name: 'a', user_data: userData('bad') });
  const machine = await bootedMachine(cloud, server.id);
  expect(machine).toMatchObject({ tailnet_ip: null, joined_at: null, refused_reason: 'the key is used up' });
});

test('a machine without user data boots and does not join', async () => {
  const cloud = await startCloud();
  runDueWork(cloud, createTailnet().joinTailnet);
  const server = await runningServer(cloud, { name: 'plain' });
  const machine = await bootedMachine(cloud, server.id);
  expect(machine).toMatchObject({ hostname: 'plain', tailnet_ip: null, refused_reason: null });
});

test('a server that is created off boots its machine when it is switched on', async () => {
  const cloud = await startCloud();
  runDueWork(cloud, createTailnet().joinTailnet);
  const order = { name: 'a', user_data: userData('good'), start_after_create: false };
  const { server, action } = (await orderServer(cloud, order)).body;
  await cloud.finish(action);
  expect(await cloud.database.selectFrom('machines').selectAll().execute()).toEqual([]);
  await cloud.call('POST', `/servers/${server.id}/actions/poweron`);
  expect(await bootedMachine(cloud, server.id)).toMatchObject({ tailnet_ip: '100.64.0.1' });
});

test('a rebuild creates another machine, which joins with the new user data', async () => {
  const cloud = await startCloud();
  runDueWork(cloud, createTailnet().joinTailnet);
  const server = await runningServer(cloud, { name: 'a', user_data: userData('good') });
  await bootedMachine(cloud, server.id);
  const body = { image: 'debian-13', user_data: userData('good-too') };
  const rebuilt = await cloud.call('POST', `/servers/${server.id}/actions/rebuild`, body);
  await cloud.finish(rebuilt.body.action);
  expect(await bootedMachine(cloud, server.id, 2)).toMatchObject({ tailnet_ip: '100.64.0.2' });
  expect((await health(cloud, '100.64.0.1')).status).toBe(503);
  expect((await health(cloud, '100.64.0.2')).status).toBe(200);
});

test('a boot that fails half way is repeated and ends as one device', async () => {
  const cloud = await startCloud();
  const { machines, joinTailnet } = createTailnet();
  let calls = 0;
  runDueWork(cloud, async (database, machine) => {
    const joined = await joinTailnet(database, machine);
    calls += 1;
    if (calls === 1) throw new Error('killed before it could be recorded');
    return joined;
  });
  const server = await runningServer(cloud, { name: 'a', user_data: userData('good') });
  expect(await bootedMachine(cloud, server.id)).toMatchObject({ tailnet_ip: '100.64.0.1' });
  expect(machines).toHaveLength(1);
});

test('a server that is deleted before its machine has booted never joins', async () => {
  const cloud = await startCloud({ machineBootMs: 60_000 });
  const { machines, joinTailnet } = createTailnet();
  runDueWork(cloud, joinTailnet);
  const server = await runningServer(cloud, { name: 'a', user_data: userData('good') });
  await cloud.call('DELETE', `/servers/${server.id}`);
  await letPass(cloud, 60_000);
  await eventually(async () => {
    const due = await cloud.database.selectFrom('due').selectAll().execute();
    return due.length === 0 ? true : undefined;
  });
  expect(machines).toEqual([]);
  expect(await cloud.database.selectFrom('machines').selectAll().execute()).toEqual([]);
});

test('a machine on a disk from a snapshot is on the tailnet as the one that was copied, and joins nothing', async () => {
  const cloud = await startCloud();
  const { machines, joinTailnet } = createTailnet();
  runDueWork(cloud, joinTailnet);
  const origin = await runningServer(cloud, { name: 'agent-1', user_data: userData('good') });
  const { tailnet_ip: ip } = await bootedMachine(cloud, origin.id);
  const made = (await cloud.call('POST', `/servers/${origin.id}/actions/create_image`, {})).body;
  await cloud.finish(made.action);
  await cloud.finish((await cloud.call('DELETE', `/servers/${origin.id}`)).body.action);
  expect((await health(cloud, ip!)).status).toBe(503);

  const order = { name: 'agent-1', image: made.image.id, user_data: '#cloud-config\nhostname: agent-1\n' };
  const copy = await runningServer(cloud, order);
  expect(await bootedMachine(cloud, copy.id)).toMatchObject({ tailnet_ip: ip, refused_reason: null });
  expect(machines).toHaveLength(1);
  expect(await health(cloud, ip!)).toMatchObject({ status: 200, body: { hostname: 'agent-1' } });
});
