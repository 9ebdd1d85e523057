import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { findProcesses } from '../../../src/processes/find.ts';
import { eventually, openRealTailnet, type RealTailnet, whyNot } from '../../support/headscale.ts';
import { makeKey, tokens } from '../../support/sandbox-tailnet.ts';

const limit = { timeout: 60_000 };

let tailnet: RealTailnet;
beforeAll(async () => {
  if (whyNot === undefined) tailnet = await openRealTailnet();
}, 60_000);
beforeEach(({ skip }) => skip(whyNot !== undefined, whyNot));
afterAll(() => tailnet?.close());

const controllerKey = () => makeKey(tailnet, { preauthorized: true, tags: ['tag:controller'] });
const keyState = async (id: string) => (await tailnet.call('GET', `/tailnet/-/keys/${id}`)).body;
const device = async (hostname: string) =>
  (await tailnet.call('GET', `/tailnet/-/devices?hostname=${hostname}`)).body.devices[0];

test('a key admits one machine, once, with the key’s tags', limit, async () => {
  const { id, key } = await makeKey(tailnet);
  expect(await keyState(id)).toMatchObject({ invalid: false });
  const first = await tailnet.machine('first');
  const startedAt = performance.now();
  const address = await first.join(key);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect(await device('first')).toMatchObject({
    hostname: 'first',
    name: 'first.tail5a4db0.ts.net',
    addresses: [address, expect.stringMatching(/^fd7a:115c:a1e0:/)],
    tags: ['tag:agent'],
    authorized: true,
    connectedToControl: true,
    isEphemeral: false,
    keyExpiryDisabled: true,
  });
  expect(await keyState(id)).toMatchObject({ invalid: true });
  const keys = (await tailnet.call('GET', '/tailnet/-/keys?all=true')).body.keys;
  expect(keys.map((listed: { id: string }) => listed.id)).not.toContain(id);

  const second = await tailnet.machine('second');
  await expect(second.join(key)).rejects.toThrow('authkey already used');
  expect(await device('second')).toBeUndefined();
});

test('a revoked key and an expired one admit no machine', limit, async () => {
  const revoked = await makeKey(tailnet);
  await tailnet.call('DELETE', `/tailnet/-/keys/${revoked.id}`);
  const expiring = await makeKey(tailnet, undefined, { expirySeconds: 1 });
  const [early, late] = [await tailnet.machine('early'), await tailnet.machine('late')];
  await expect(early.join(revoked.key)).rejects.toThrow('expired');
  await eventually(async () => (await keyState(expiring.id)).invalid);
  await expect(late.join(expiring.key)).rejects.toThrow('expired');
  for (const hostname of ['early', 'late']) expect(await device(hostname)).toBeUndefined();
});

test('the project’s policy is enforced; a deleted device is disconnected at once', limit, async () => {
  const [controller, a, b] = [
    await tailnet.machine('controller'),
    await tailnet.machine('agent-a'),
    await tailnet.machine('agent-b'),
  ];
  const controllerAddress = await controller.join((await controllerKey()).key);
  const addressA = await a.join((await makeKey(tailnet)).key);
  const addressB = await b.join((await makeKey(tailnet)).key);
  for (const port of [22, 8088, 8089]) for (const each of [controller, a, b]) await each.serve(port);

  await eventually(() => controller.reaches(addressA, 8088));
  await eventually(() => controller.reaches(addressB, 22));
  const refused = await Promise.all([
    controller.reaches(addressA, 8089),
    a.reaches(addressB, 22),
    a.reaches(addressB, 8088),
    b.reaches(addressA, 8088),
    a.reaches(controllerAddress, 22),
    a.reaches(controllerAddress, 8088),
  ]);
  expect(refused).toEqual(refused.map(() => false));

  const { id } = await device('agent-a');
  expect((await tailnet.call('DELETE', `/device/${id}`)).status).toBe(200);
  const deletedAt = performance.now();
  await eventually(async () => !(await controller.reaches(addressA, 8088)));
  expect(performance.now() - deletedAt).toBeLessThan(3_000);
  expect(await device('agent-a')).toBeUndefined();
  expect((await tailnet.call('DELETE', `/device/${id}`)).status).toBe(404);
  expect(await controller.reaches(addressB, 8088)).toBe(true);
});

test('a policy file that is set is enforced; an invalid one is refused', limit, async () => {
  const tagOwners = { 'tag:x': ['autogroup:admin'], 'tag:y': ['autogroup:admin'] };
  const open = { tagOwners, acls: [{ action: 'accept', src: ['tag:x'], dst: ['tag:y:4000'] }] };
  const asJson = { Authorization: `Bearer ${tokens.tailscaleApiKey}`, Accept: 'application/json' };
  const readPolicy = () => tailnet.call('GET', '/tailnet/-/acl', undefined, asJson);
  const before = await readPolicy();
  const set = (policy: object) => tailnet.call('POST', '/tailnet/-/acl', JSON.stringify(policy), asJson);
  expect((await set({ tagOwners, acls: [] })).status).toBe(200);
  const [x, y] = [await tailnet.machine('x'), await tailnet.machine('y')];
  await x.join((await makeKey(tailnet, { preauthorized: true, tags: ['tag:x'] })).key);
  const addressY = await y.join((await makeKey(tailnet, { preauthorized: true, tags: ['tag:y'] })).key);
  await y.serve(4000);
  expect(await x.reaches(addressY, 4000)).toBe(false);
  expect((await set(open)).status).toBe(200);
  await eventually(() => x.reaches(addressY, 4000));

  const wrong = { acls: [{ action: 'accept', src: ['tag:nobody'], dst: ['tag:y:4000'] }] };
  expect(await set(wrong)).toMatchObject({
    status: 400,
    body: { message: expect.stringContaining('tag:nobody') },
  });
  expect((await readPolicy()).body).toEqual(open);
  await set(before.body);
});

test('headscale’s files are readable by their owner only', () => {
  for (const file of ['config.yaml', 'noise.key', 'derp.key', 'headscale.sqlite', 'headscale.sock'])
    expect([file, statSync(join(tailnet.dir, 'headscale', file)).mode & 0o777]).toEqual([file, 0o600]);
});

test('headscale restarts with its state after a crash; its devices reconnect by themselves', {
  timeout: 100_000,
}, async () => {
  const [controller, agent] = [await tailnet.machine('controller-2'), await tailnet.machine('agent-c')];
  await controller.join((await controllerKey()).key);
  const unused = await makeKey(tailnet);
  const address = await agent.join((await makeKey(tailnet)).key);
  await agent.serve(8088);
  await eventually(() => controller.reaches(address, 8088));
  const ids = async () =>
    (await tailnet.call('GET', '/tailnet/-/devices')).body.devices.map(({ id }: { id: string }) => id);
  const before = await ids();

  const tag = tailnet.internet.environment.AGENT_STACKS_MACHINES;
  const [pid] = findProcesses((environment) => environment.get('AGENT_STACKS_MACHINES') === tag).filter(
    (found) => readFileSync(`/proc/${found}/cmdline`, 'utf8').includes('headscale\0serve'),
  );
  process.kill(pid!, 'SIGKILL');
  expect(await ids()).toEqual(before);
  expect(await keyState(unused.id)).toMatchObject({ invalid: false });
  expect(await controller.reaches(address, 8088)).toBe(true);
  const another = await tailnet.machine('agent-d');
  const otherAddress = await another.join(unused.key);
  await another.serve(8088);
  // The others reconnect with a backoff of up to half a minute.
  await eventually(() => controller.reaches(otherAddress, 8088), 50);
});

test('an assigned name stays, whatever hostname root on the machine sets', limit, async () => {
  const { key } = await makeKey(tailnet);
  const machine = await tailnet.machine('join-0123');
  const address = await machine.join(key);
  const byAddress = async () =>
    (await tailnet.call('GET', `/tailnet/-/devices?addresses=${address}`)).body.devices[0];
  const { nodeId } = await byAddress();
  const name = (to: string) => tailnet.call('POST', `/device/${nodeId}/name`, { name: to });
  expect((await name('agent-named')).status).toBe(200);
  await machine.setHostname('agent-other');
  await eventually(async () => (await byAddress()).hostname === 'agent-other');
  expect(await byAddress()).toMatchObject({ nodeId, name: 'agent-named.tail5a4db0.ts.net' });

  const other = await tailnet.machine('taken');
  await other.join((await makeKey(tailnet)).key);
  expect((await name('taken')).status).toBe(400);
});
