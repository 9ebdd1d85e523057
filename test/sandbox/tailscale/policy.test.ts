import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { joinTailnet } from '../../../sandbox/tailscale/devices.ts';
import { makeKey, setup, type Tailnet, tokens } from '../../support/sandbox-tailnet.ts';

let tailnet: Tailnet;
beforeEach(async () => {
  tailnet = await setup();
});
afterEach(() => tailnet.close());

const projectPolicy = readFileSync(new URL('../../../docs/tailnet-policy.hujson', import.meta.url), 'utf8');
const asJson = { Authorization: `Bearer ${tokens.tailscaleApiKey}`, Accept: 'application/json' };
const accept = (src: string, dst: string) => ({ action: 'accept', src: [src], dst: [dst] });

async function asClient() {
  const grant = new URLSearchParams({
    client_id: tokens.tailscaleOauthClientId,
    client_secret: tokens.tailscaleOauthClientSecret,
  });
  const { body } = await tailnet.call('POST', '/oauth/token', grant, {});
  return { Authorization: `Bearer ${body.access_token}` };
}

function askForKey(tags: string[], headers?: object) {
  const capabilities = { devices: { create: { preauthorized: true, tags } } };
  return tailnet.call('POST', '/tailnet/-/keys', { capabilities }, headers);
}

async function setOwners(tagOwners: Record<string, string[]>) {
  const policy = JSON.stringify({ tagOwners, acls: [] });
  expect((await tailnet.call('POST', '/tailnet/-/acl', policy, asJson)).status).toBe(200);
}

const validate = (body: string) => tailnet.call('POST', '/tailnet/-/acl/validate', body, asJson);

test('a key with a tag that the policy does not define is refused with Tailscale’s message', async () => {
  for (const headers of [undefined, await asClient()]) {
    expect(await askForKey(['tag:agent', 'tag:nobody'], headers)).toMatchObject({
      status: 400,
      body: { message: 'requested tags [tag:nobody] are invalid or not permitted' },
    });
  }
  const keys = await tailnet.call('GET', '/tailnet/-/keys?all=true');
  expect(keys.body.keys).toEqual([]);
});

test('an OAuth client can assign its own tags and those that they own; the administrator any', async () => {
  const client = await asClient();
  expect((await askForKey(['tag:controller'], client)).status).toBe(200);
  expect((await askForKey(['tag:agent', 'tag:controller'], client)).status).toBe(200);

  await setOwners({ 'tag:controller': [], 'tag:agent': ['autogroup:admin'] });
  expect(await askForKey(['tag:agent'], client)).toMatchObject({
    status: 400,
    body: { message: 'requested tags [tag:agent] are invalid or not permitted' },
  });
  expect((await askForKey(['tag:controller'], client)).status).toBe(200);
  expect((await askForKey(['tag:agent', 'tag:controller'])).status).toBe(200);

  await setOwners({ 'tag:agent': ['autogroup:admin'] });
  expect((await askForKey(['tag:controller'], client)).status).toBe(400);
  expect((await askForKey(['tag:controller'])).status).toBe(400);
});

test('a device gets only tags that the caller may assign', async () => {
  const { key } = await makeKey(tailnet);
  await joinTailnet(tailnet.database, { authKey: key, hostname: 'a', machineId: '1' });
  const [device] = (await tailnet.call('GET', '/tailnet/-/devices')).body.devices;
  const path = `/device/${device.id}`;
  expect(await tailnet.call('POST', `${path}/tags`, { tags: ['tag:nobody', 'tag:none'] })).toMatchObject({
    status: 400,
    body: { message: 'requested tags [tag:nobody tag:none] are invalid or not permitted' },
  });
  expect((await tailnet.call('GET', path)).body.tags).toEqual(['tag:agent']);
  expect((await tailnet.call('POST', `${path}/tags`, { tags: ['tag:controller'] })).status).toBe(200);
  expect((await tailnet.call('GET', path)).body.tags).toEqual(['tag:controller']);
});

test('the project’s own policy is valid, and its tests fail once a rule allows what they deny', async () => {
  expect(await validate(projectPolicy)).toMatchObject({ status: 200, body: {} });
  const opened = projectPolicy.replace('"acls": [', `"acls": [${JSON.stringify(accept('*', '*:*'))},`);
  const { status, body } = await validate(opened);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    message: 'test(s) failed',
    data: [
      { user: 'tag:controller', errors: ['address "tag:agent:80": want: Drop, got: Accept'] },
      { user: 'tag:agent' },
    ],
  });
  // Setting it is refused for the same reason, and the policy does not change.
  const before = await tailnet.call('GET', '/tailnet/-/acl', undefined, asJson);
  expect(await tailnet.call('POST', '/tailnet/-/acl', opened, asJson)).toMatchObject({ status: 400, body });
  expect((await tailnet.call('GET', '/tailnet/-/acl', undefined, asJson)).body).toEqual(before.body);
});

test('a list of tests runs against the current policy', async () => {
  expect((await tailnet.call('POST', '/tailnet/-/acl', projectPolicy, asJson)).status).toBe(200);
  const from = (src: string, rest: object) => JSON.stringify([{ src, ...rest }]);
  expect((await validate(from('tag:controller', { accept: ['tag:agent:22'] }))).body).toEqual({});
  expect((await validate(from('tag:agent', { accept: ['tag:controller:22'] }))).body).toEqual({
    message: 'test(s) failed',
    data: [{ user: 'tag:agent', errors: ['address "tag:controller:22": want: Accept, got: Drop'] }],
  });
});

test.each([
  ['a syntax error', '{'],
  ['an undefined tag', JSON.stringify({ acls: [accept('tag:ghost', '*:*')] })],
  ['an undefined group', JSON.stringify({ acls: [accept('*', 'group:ghosts:22')] })],
  ['owners that are not a list', JSON.stringify({ tagOwners: { 'tag:a': 'autogroup:admin' } })],
  ['an unknown action', JSON.stringify({ acls: [{ action: 'drop', src: ['*'], dst: ['*:*'] }] })],
])('a policy with %s is refused, by validate and by set', async (_what, text) => {
  for (const path of ['/tailnet/-/acl/validate', '/tailnet/-/acl']) {
    const refused = await tailnet.call('POST', path, text, asJson);
    expect(refused.status).toBe(400);
    expect(refused.body).toEqual({ message: expect.any(String) });
  }
});
