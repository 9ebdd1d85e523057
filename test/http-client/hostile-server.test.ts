import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { exchange } from '../../sandbox/providers/http.ts';
import { PermanentError, RetryableError } from '../../src/errors.ts';
import { createGithubClient } from '../../src/github/github.ts';
import { createIdentityCheck } from '../../src/github/identity.ts';
import { createIdentitySource } from '../../src/github/identity-token.ts';
import { createHetznerClient } from '../../src/hetzner/hetzner.ts';
import { createServiceLink } from '../../src/runner/service-link.ts';
import { Secret } from '../../src/secret.ts';
import { askStripe, createStripe } from '../../src/stripe/stripe.ts';
import { createHealthCheck } from '../../src/tailnet/agent-health.ts';
import { createLocalApi } from '../../src/tailnet/local-api.ts';
import { locateInSandbox } from '../../src/tailnet/tailscaled-location.ts';
import { createTailscaleClient } from '../../src/tailscale/tailscale.ts';
import {
  BEHAVIOURS,
  type BehaviourName,
  FLOOD_BYTES,
  startHostileServer,
  untilClosed,
} from '../support/hostile-server.ts';

// A call without a time limit fails by this timeout.
vi.setConfig({ testTimeout: 60_000 });

const timeoutSeconds = 0.3;
const secret = new Secret('not for anybody else');
const signal = () => AbortSignal.timeout(30_000);
const hetzner = (endpoint: string) => ({ endpoint, token: secret, timeoutSeconds });
const tailscale = (baseUrl: string) => ({
  baseUrl,
  tailnet: '-',
  loginServer: undefined,
  timeoutSeconds,
  credential: { kind: 'api-key' as const, key: secret },
});
const github = { owner: 'o', repo: 'r', token: secret, ref: 'main', timeoutSeconds };
const oauth = { kind: 'oauth' as const, clientId: 'i', clientSecret: secret };
const token = [{ alg: 'RS256', kid: 'k' }, identityClaims()]
  .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
  .join('.');

function identityClaims() {
  const texts = { iss: 'i', aud: 'a', repository: 'o/r', repository_id: '1', workflow_ref: 'w', run_id: '1' };
  return { ...texts, exp: 1 };
}

/** Every client that calls out, with a call whose expected answer no behaviour can produce. */
const CLIENTS: Record<string, (url: string) => Promise<unknown>> = {
  'Hetzner, a list': (url) => createHetznerClient(hetzner(url)).listServers('a1'),
  'Hetzner, one server': (url) => createHetznerClient(hetzner(url)).getServer('1'),
  'Hetzner, an action': (url) => createHetznerClient(hetzner(url)).powerOn('1', signal()),
  'Hetzner, the sweep': (url) => createHetznerClient(hetzner(url)).serverPage(1),
  'Tailscale, devices': (url) => createTailscaleClient(tailscale(url)).listDevices(),
  'Tailscale, an access token': (url) =>
    createTailscaleClient({ ...tailscale(url), credential: oauth }).listKeys(),
  'Tailscale, a new key': (url) =>
    createTailscaleClient(tailscale(url)).createKey({
      description: 'x',
      expirySeconds: 60,
      tags: [],
      ephemeral: true,
    }),
  'GitHub, a run': (url) => createGithubClient({ ...github, apiUrl: url }).getRun('1'),
  'GitHub, runs': (url) => createGithubClient({ ...github, apiUrl: url }).findRun('x', new Date(0)),
  'GitHub, an identity token': (url) =>
    createIdentitySource({ requestUrl: url, requestToken: secret, audience: 'a', timeoutSeconds })(),
  'GitHub, the issuer’s keys': (url) =>
    createIdentityCheck({ issuer: url, audience: 'a', owner: 'o', repo: 'r', timeoutSeconds })(
      `${token}.x`,
      '1',
    ),
  'Stripe, a session': (url) =>
    askStripe(
      createStripe({ secretKey: secret, apiUrl: url, timeoutSeconds }).checkout.sessions.retrieve('cs'),
    ),
  'Stripe, a purchase': (url) =>
    askStripe(
      createStripe({ secretKey: secret, apiUrl: url, timeoutSeconds }).customers.create({ name: 'x' }),
    ),
  'the sandbox’s network': (url) => locateInSandbox(url, { timeoutSeconds }),
};

/** Calls that may accept any answer. They only have to end. */
const LENIENT: Record<string, (url: string) => Promise<unknown>> = {
  'GitHub, a dispatch': (url) => createGithubClient({ ...github, apiUrl: url }).dispatch({ job_id: 'x' }),
  'the service, a callback': (url) =>
    createServiceLink({
      callbackUrl: `${url}/api/webhooks/github`,
      callbackSecret: secret,
      jobId: 'j',
      workflowRunId: undefined,
      timeoutSeconds,
    }).send('status', {}, { patienceSeconds: 0 }),
  'health, once': (url) =>
    createHealthCheck(() => `${url}/health`, undefined, { answerSeconds: timeoutSeconds }).isHealthy(
      '100.64.0.7',
    ),
  'health, at last': (url) =>
    createHealthCheck(() => `${url}/health`, undefined, { answerSeconds: timeoutSeconds }).untilHealthy(
      '100.64.0.7',
      { timeoutSeconds: 0, signal: signal() },
    ),
  'a builtin provider, which has a signal': (url) =>
    exchange('GET', url, { headers: {} }, AbortSignal.timeout(timeoutSeconds * 1000)).catch(String),
};

/** The most bytes that a server may send to one client: what it reads of an answer plus socket buffers. */
const MOST_BYTES = FLOOD_BYTES / 8;

/**
 * Calls every client at once, each with its own server. @returns how each call ended: as one of our errors,
 * or the answer
 */
async function exposeTo(behaviour: BehaviourName, clients: typeof CLIENTS): Promise<Record<string, string>> {
  const ends = Object.entries(clients).map(async ([name, call]) => {
    const server = await startHostileServer(behaviour);
    const end = await call(server.url).then(
      (answer) => `answer: ${JSON.stringify(answer)}`,
      (error: unknown) => toErrorKind(error),
    );
    await untilClosed(server);
    expect(server.sent(), `${name}: bytes taken`).toBeLessThan(MOST_BYTES);
    return [name, end] as const;
  });
  return Object.fromEntries(await Promise.all(ends));
}

function toErrorKind(error: unknown): string {
  const text = String(error);
  expect(text).not.toContain(secret.reveal());
  expect(text.length).toBeLessThan(1_000);
  return error instanceof RetryableError || error instanceof PermanentError ? 'ours' : text;
}

const all = (clients: typeof CLIENTS, end: unknown) =>
  Object.fromEntries(Object.keys(clients).map((name) => [name, end]));

describe.each(Object.keys(BEHAVIOURS) as BehaviourName[])('a server that %s', (behaviour) => {
  test('every call ends in time with one of our errors, and takes a limited number of bytes', async () => {
    expect(await exposeTo(behaviour, CLIENTS)).toEqual(all(CLIENTS, 'ours'));
  });

  test('calls that accept any answer end too', async () => {
    const anyEnd = expect.stringMatching(/^(ours|answer: .*)$/);
    expect(await exposeTo(behaviour, LENIENT)).toEqual(all(LENIENT, anyEnd));
  });

  test('calls to tailscaled and connections through it end too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'as-hostile-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const server = await startHostileServer(behaviour, join(folder, 's'));
    const local = createLocalApi(join(folder, 's'), { timeoutSeconds });
    const health = createHealthCheck(() => 'http://100.64.0.7:8080/health', local.dial, {
      answerSeconds: timeoutSeconds,
    });
    const [asked, isHealthy] = await Promise.all([
      local.status().catch((error: unknown) => error),
      health.isHealthy('100.64.0.7'),
    ]);
    expect(asked).toBeInstanceOf(RetryableError);
    expect(isHealthy).toBe(false);
    await untilClosed(server);
    expect(server.sent()).toBeLessThan(MOST_BYTES);
  });
});
