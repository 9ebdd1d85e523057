import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { RetryableError } from '../../src/errors.ts';
import { createIdentityCheck, type IdentityCheck } from '../../src/github/identity.ts';
import { createIdentitySource } from '../../src/github/identity-token.ts';
import { Secret } from '../../src/secret.ts';
import { dispatched, order, startRemoteService, tell } from '../support/github-callbacks.ts';

const ours = generateKeyPairSync('rsa', { modulusLength: 2048 });
const another = generateKeyPairSync('rsa', { modulusLength: 2048 });

/** A local issuer like GitHub's: discovery, keys, and tokens for callers with the request token. */
const issuer = { url: '', keys: [] as object[], asked: 0, away: false };
const server = createServer((request, response) => {
  issuer.asked += 1;
  response.statusCode = issuer.away ? 503 : 200;
  const url = new URL(request.url ?? '', issuer.url);
  if (url.pathname === '/.well-known/openid-configuration')
    response.end(JSON.stringify({ jwks_uri: `${issuer.url}/keys` }));
  else if (url.pathname === '/keys') response.end(JSON.stringify({ keys: issuer.keys }));
  else {
    if (request.headers.authorization !== 'Bearer grant') response.statusCode = 401;
    response.end(JSON.stringify({ value: token({ aud: url.searchParams.get('audience') }) }));
  }
});
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

let check: IdentityCheck;
beforeEach(() => {
  issuer.keys = [{ ...ours.publicKey.export({ format: 'jwk' }), kid: 'k1', use: 'sig', alg: 'RS256' }];
  issuer.away = false;
  check = createIdentityCheck({
    issuer: issuer.url,
    audience: 'agents',
    owner: 'Acme',
    repo: 'agents',
    repositoryId: '77',
  });
});

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(
  claims: object = {},
  { key = ours.privateKey, head = {} }: { key?: KeyObject; head?: object } = {},
): string {
  const now = Math.floor(Date.now() / 1000);
  const body = {
    iss: issuer.url,
    aud: 'agents',
    exp: now + 300,
    nbf: now - 5,
    repository: 'acme/agents',
    repository_id: '77',
    workflow_ref: 'acme/agents/.github/workflows/provision-agent.yml@refs/heads/main',
    run_id: '900',
    ...claims,
  };
  const signed = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'k1', ...head })}.${encode(body)}`;
  return `${signed}.${sign('RSA-SHA256', Buffer.from(signed), key).toString('base64url')}`;
}

describe('an identity token', () => {
  test('from a run of the workflow proves that run', async () => {
    expect(await check(token(), '900')).toBeUndefined();
    expect(await check(token({ aud: ['others', 'agents'] }), '900')).toBeUndefined();
  });

  test.each([
    ['another issuer', { iss: 'https://issuer.example' }, /another issuer/],
    ['another audience', { aud: 'others' }, /another audience/],
    ['the past', { exp: 1_000_000_000 }, /expired/],
    ['the future', { nbf: 4_000_000_000 }, /not valid yet/],
    ['another repository', { repository: 'mallory/agents' }, /another repository/],
    ['a new repository of the old name', { repository_id: '78' }, /of that name/],
    [
      'another workflow',
      { workflow_ref: 'acme/agents/.github/workflows/other.yml@refs/heads/main' },
      /another workflow/,
    ],
    ['another run', { run_id: '901' }, /another workflow run/],
  ])('of %s proves nothing', async (_, claims, reason) => {
    expect(await check(token(claims), '900')).toMatch(reason);
  });

  test('proves nothing if the message names no run', async () => {
    expect(await check(token(), undefined)).toMatch(/another workflow run/);
  });

  test('must be signed by the issuer, with RS256, by a key that it publishes', async () => {
    expect(await check(token({}, { key: another.privateKey }), '900')).toMatch(/not signed by the issuer/);
    expect(await check(token({}, { head: { alg: 'none' } }), '900')).toMatch(/RS256/);
    expect(await check(token({}, { head: { alg: 'HS256' } }), '900')).toMatch(/RS256/);
    expect(await check(token({}, { head: { kid: 'k9' } }), '900')).toMatch(/does not publish/);
    for (const garbage of ['', 'a.b', 'a.b.c', `${token()}.x`, 'x'.repeat(20_000)])
      expect(await check(garbage, '900')).toMatch(/not a token/);
    const [head, body] = token().split('.');
    expect(await check(`${head}.${body}.`, '900')).toMatch(/not a token/);
  });

  test('must have every checked claim, even with a valid signature', async () => {
    for (const missing of ['iss', 'aud', 'exp', 'repository', 'repository_id', 'workflow_ref', 'run_id'])
      expect(await check(token({ [missing]: undefined }), '900'), missing).toMatch(/not a token/);
    for (const claims of [{ exp: 'soon' }, { nbf: 'now' }, { run_id: 900 }])
      expect(await check(token(claims), '900')).toMatch(/not a token/);
  });

  test('must be signed with RS256, even if the key fits another algorithm', async () => {
    const { alg, ...key } = issuer.keys[0] as { alg: string };
    issuer.keys = [key];
    expect(await check(token(), '900')).toBeUndefined();
    for (const other of ['PS256', 'RS384', 'RS512'])
      expect(await check(token({}, { head: { alg: other } }), '900')).toMatch(/RS256/);
  });

  test('is accepted despite other unusable keys of the issuer', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    issuer.keys = [
      { ...short.publicKey.export({ format: 'jwk' }), kid: 'k1' },
      { kty: 'RSA', kid: 'k2', n: 7, e: 'AQAB' },
      { ...ours.publicKey.export({ format: 'jwk' }), kid: 'k3' },
    ];
    await expect(check(token({}, { key: short.privateKey }), '900')).rejects.toThrow(RetryableError);
    await expect(check(token({}, { head: { kid: 'k2' } }), '900')).rejects.toThrow(RetryableError);
    expect(await check(token({}, { head: { kid: 'k3' } }), '900')).toBeUndefined();
  });

  test('that is garbage causes no call to the issuer', async () => {
    const before = issuer.asked;
    for (const garbage of ['a.b.c', token({}, { head: { alg: 'HS256' } }), 'x'.repeat(20_000)])
      await check(garbage, '900');
    expect(issuer.asked).toBe(before);
  });

  test('is checked with cached keys, and an unreachable issuer is not a refusal', async () => {
    const before = issuer.asked;
    await check(token(), '900');
    await check(token(), '900');
    expect(issuer.asked - before).toBe(2);
    issuer.away = true;
    expect(await check(token(), '900')).toBeUndefined();
    const fresh = createIdentityCheck({
      issuer: issuer.url,
      audience: 'agents',
      owner: 'acme',
      repo: 'agents',
    });
    await expect(fresh(token(), '900')).rejects.toThrow(RetryableError);
  });
});

test('a run requests its token for the audience and reuses it for a while', async () => {
  const identify = createIdentitySource({
    requestUrl: `${issuer.url}/token?api-version=2`,
    requestToken: new Secret('grant'),
    audience: 'agents',
  });
  const before = issuer.asked;
  expect(await check(await identify(), '900')).toBeUndefined();
  expect(await identify()).toBe(await identify());
  expect(issuer.asked - before).toBe(3);
});

test('if required, a signed callback without it, or with another run’s, is refused and changes nothing', async () => {
  const service = await startRemoteService({ checkIdentity: check });
  try {
    const { jobId } = await order(service);
    await dispatched(service, jobId, '900');
    const message = { job_id: jobId, status: 'provisioning', workflow_run_id: '900' };
    const routes = ['/api/webhooks/github', '/api/runner/claim', '/api/runner/record'];
    for (const route of routes)
      expect(await tell(service, { ...message, record: { kind: 'alive' } }, { route })).toMatchObject({
        status: 401,
        body: { error: 'The identity token is missing' },
      });
    const asOther = await tell(service, message, { bearer: token({ run_id: '901' }) });
    expect(asOther).toMatchObject({
      status: 401,
      body: { error: expect.stringMatching(/another workflow run/) },
    });
    expect(await tell(service, message, { bearer: token() })).toMatchObject({ status: 200 });
  } finally {
    await service.stop();
  }
});
