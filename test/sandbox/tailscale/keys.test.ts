import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { joinTailnet } from '../../../sandbox/tailscale/devices.ts';
import { makeKey, setup, type Tailnet, tokens } from '../../support/sandbox-tailnet.ts';

let tailnet: Tailnet;
beforeEach(async () => {
  tailnet = await setup();
});
afterEach(() => tailnet.close());

const keys = '/tailnet/-/keys';

test('shows the secret on create only, and stores no trace of it', async () => {
  const created = await tailnet.call('POST', keys, {
    capabilities: { devices: { create: { preauthorized: true, tags: ['tag:agent'] } } },
    expirySeconds: 3600,
    description: 'agent-1 2',
  });
  expect(created.status).toBe(200);
  expect(created.body.key).toMatch(new RegExp(`^tskey-auth-${created.body.id}-\\w{32}$`));

  const read = await tailnet.call('GET', `${keys}/${created.body.id}`);
  const { key: secret, ...rest } = created.body;
  expect(read.body).toEqual(rest);
  expect(read.body).toMatchObject({
    keyType: 'auth',
    expirySeconds: 3600,
    description: 'agent-1 2',
    invalid: false,
    capabilities: {
      devices: { create: { reusable: false, ephemeral: false, preauthorized: true, tags: ['tag:agent'] } },
    },
  });
  expect(Date.parse(read.body.expires) - Date.parse(read.body.created)).toBe(3_600_000);
  const { rows } = await sql<{
    keys: string;
  }>`select keys::text from tailscale_keys as keys`.execute(tailnet.database);
  expect(rows[0]?.keys).not.toContain(secret);
});

test('expires after ninety days by default', async () => {
  const { body } = await tailnet.call('POST', keys, { capabilities: { devices: {} } });
  expect(body.expirySeconds).toBe(90 * 24 * 3600);
});

test.each([
  ['a longer expiry', { expirySeconds: 90 * 24 * 3600 + 1 }],
  ['a description with other characters', { description: 'agent_1' }],
  ['a description of 51 characters', { description: 'a'.repeat(51) }],
  ['a tag without its prefix', { capabilities: { devices: { create: { tags: ['agent'] } } } }],
])('refuses %s', async (_what, change) => {
  const refused = await tailnet.call('POST', keys, { capabilities: { devices: {} }, ...change });
  expect(refused.status).toBe(400);
  expect(refused.body).toEqual({ message: expect.any(String) });
});

test('a deleted key is invalid, is not listed, and admits no device', async () => {
  const kept = await makeKey(tailnet);
  const deleted = await makeKey(tailnet);
  expect((await tailnet.call('DELETE', `${keys}/${deleted.id}`)).status).toBe(200);
  expect((await tailnet.call('DELETE', `${keys}/${deleted.id}`)).status).toBe(404);
  const read = await tailnet.call('GET', `${keys}/${deleted.id}`);
  expect(read.body).toMatchObject({ invalid: true, revoked: expect.any(String) });
  const list = await tailnet.call('GET', `${keys}?all=true`);
  expect(list.body.keys.map((key: { id: string }) => key.id)).toEqual([kept.id]);
  const join = await joinTailnet(tailnet.database, { authKey: deleted.key, hostname: 'a', machineId: '1' });
  expect(join).toEqual({ refused: 'the key was revoked' });
});

test('a used single-use key and an expired one are invalid', async () => {
  const used = await makeKey(tailnet);
  const expired = await makeKey(tailnet);
  await joinTailnet(tailnet.database, { authKey: used.key, hostname: 'a', machineId: '1' });
  const now = sql<Date>`now()`;
  await tailnet.database
    .updateTable('tailscale_keys')
    .set({ expires_at: now })
    .where('id', '=', expired.id)
    .execute();
  for (const { id } of [used, expired])
    expect((await tailnet.call('GET', `${keys}/${id}`)).body.invalid).toBe(true);
  const late = await joinTailnet(tailnet.database, { authKey: expired.key, hostname: 'b', machineId: '2' });
  expect(late).toEqual({ refused: 'the key has expired' });
});

test('answers 404 for an unknown key, tailnet and path', async () => {
  for (const path of [`${keys}/kNoneCNTRL`, '/tailnet/elsewhere.example/keys', '/tailnet/-/nothing']) {
    const unknown = await tailnet.call('GET', path);
    expect(unknown.status).toBe(404);
    expect(unknown.body).toEqual({ message: expect.any(String) });
  }
});

test('takes the API key as Bearer and as the user of Basic, and nothing else', async () => {
  const basic = (user: string) => ({ Authorization: `Basic ${Buffer.from(`${user}:`).toString('base64')}` });
  expect((await tailnet.call('GET', keys, undefined, basic(tokens.tailscaleApiKey))).status).toBe(200);
  for (const headers of [{}, basic('tskey-api-other'), { Authorization: 'Bearer tskey-api-other' }]) {
    const refused = await tailnet.call('GET', keys, undefined, headers);
    expect(refused.status).toBe(401);
    expect(refused.body).toEqual({ message: 'API token invalid' });
  }
});

test('an OAuth client gets a token by form or Basic, and creates tagged keys owned by the tailnet', async () => {
  const id = tokens.tailscaleOauthClientId;
  const secret = tokens.tailscaleOauthClientSecret;
  const inForm = new URLSearchParams({
    client_id: id,
    client_secret: secret,
    grant_type: 'client_credentials',
  });
  const asBasic = { Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
  const grant = new URLSearchParams({ grant_type: 'client_credentials' });
  const first = await tailnet.call('POST', '/oauth/token', inForm, {});
  const second = await tailnet.call('POST', '/oauth/token', grant, asBasic);
  expect(second.status).toBe(200);
  expect(first.body).toMatchObject({ token_type: 'Bearer', expires_in: 3600 });

  const asClient = { Authorization: `Bearer ${first.body.access_token}` };
  const untagged = await tailnet.call('POST', keys, { capabilities: { devices: {} } }, asClient);
  expect(untagged.status).toBe(400);
  const capabilities = { devices: { create: { tags: ['tag:agent'] } } };
  const tagged = await tailnet.call('POST', keys, { capabilities }, asClient);
  expect(tagged.body).toMatchObject({ userId: '' });
  // The user's list does not show it; the tailnet's list does.
  expect((await tailnet.call('GET', keys)).body.keys).toEqual([]);
  expect((await tailnet.call('GET', `${keys}?all=true`)).body.keys).toHaveLength(1);

  inForm.set('client_secret', 'wrong');
  expect((await tailnet.call('POST', '/oauth/token', inForm, {})).status).toBe(401);
});

test('the policy file keeps its comments, and its ETag guards it', async () => {
  const acl = '/tailnet/-/acl';
  const before = await tailnet.call('GET', acl, undefined, {
    Authorization: `Bearer ${tokens.tailscaleApiKey}`,
    Accept: 'application/json',
  });
  expect(before.body.tagOwners).toHaveProperty('tag:agent');
  const authorization = { Authorization: `Bearer ${tokens.tailscaleApiKey}`, Accept: 'application/json' };
  const text = '{\n  // "nobody"\n  "acls": [{"action": "accept", "src": ["a//b"], "dst": ["*:*"]},],\n}';
  const ifMatch = { ...authorization, 'If-Match': before.headers.get('etag')! };
  const written = await tailnet.call('POST', acl, text, ifMatch);
  expect(written.body).toEqual({ acls: [{ action: 'accept', src: ['a//b'], dst: ['*:*'] }] });
  expect((await tailnet.call('POST', acl, text, ifMatch)).status).toBe(412);
  expect((await tailnet.call('POST', acl, '{', authorization)).status).toBe(400);
});
